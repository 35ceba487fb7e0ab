. ./common.sh
project=system-ccontini
export OS_AUTH_URL=https://auth.cloud.ca OS_USERNAME='system-ccontini-2925'  # the user
export OS_PROJECT_NAME="${project}" OS_PASSWORD=hunter2
export OS_INSECURE=true
export AWS_ACCESS_KEY_ID=076d7a255a4236965ba97b4f91363f2
export AWS_SECRET_ACCESS_KEY=s3-secret
export PATH="$(pwd)/bin:$PATH"
