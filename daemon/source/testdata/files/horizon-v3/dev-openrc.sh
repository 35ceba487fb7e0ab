#!/usr/bin/env bash

# Which Keystone
export OS_AUTH_URL="https://keystone.example:5000/v3"

# Which project
export OS_PROJECT_ID="0c4e939acacf4376bdcd1129f1a054ad"
export OS_PROJECT_NAME="dev ccontini"
export OS_USER_DOMAIN_NAME="Default"
if [ -z "$OS_USER_DOMAIN_NAME" ]; then unset OS_USER_DOMAIN_NAME; fi
export OS_PROJECT_DOMAIN_ID="default"
if [ -z "$OS_PROJECT_DOMAIN_ID" ]; then unset OS_PROJECT_DOMAIN_ID; fi

# Left from v2.0
unset OS_TENANT_ID
unset OS_TENANT_NAME

# Which user
export OS_USERNAME="system-ccontini-2925"

# His password
echo "Please enter your OpenStack Password for project $OS_PROJECT_NAME as user $OS_USERNAME: "
read -sr OS_PASSWORD_INPUT
export OS_PASSWORD="$OS_PASSWORD_INPUT"

# Which region, if any
export OS_REGION_NAME=""
if [ -z "$OS_REGION_NAME" ]; then unset OS_REGION_NAME; fi

export OS_INTERFACE="public"
export OS_IDENTITY_API_VERSION="3"
