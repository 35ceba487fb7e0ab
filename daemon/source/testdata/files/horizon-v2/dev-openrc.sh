#!/usr/bin/env bash
export OS_AUTH_URL=https://keystone.example:5000/v2.0
export OS_TENANT_ID=0c4e939acacf4376bdcd1129f1a054ad
export OS_TENANT_NAME="dev-ccontini"
unset OS_PROJECT_ID
unset OS_PROJECT_NAME
unset OS_USER_DOMAIN_NAME
unset OS_INTERFACE
export OS_USERNAME="system-ccontini-2925"
echo "Please enter your OpenStack Password for project $OS_TENANT_NAME as user $OS_USERNAME: "
read -sr OS_PASSWORD_INPUT
export OS_PASSWORD=$OS_PASSWORD_INPUT
export OS_REGION_NAME="multi-region"
if [ -z "$OS_REGION_NAME" ]; then unset OS_REGION_NAME; fi
export OS_ENDPOINT_TYPE=publicURL
export OS_IDENTITY_API_VERSION=2
