#!/bin/bash
# EC2 user data for a host whose image was made with ecs-host-service.pkr.hcl. It runs once, when an instance starts for
# the first time: it writes the configuration of ECS and the service, fetches the secrets, and starts the service.
# Anyone who may describe the instance can read this text, so it contains no secret. The instance's role needs
# secretsmanager:GetSecretValue, or ssm:GetParameter, for the secrets that are named here.
set -euo pipefail

# ---- Fill in ----------------------------------------------------------------------------------------------------------
cluster='FILL-IN'
app_env='production'
webserver_url='https://FILL-IN'
logzio_url='https://FILL-IN'
# The source of each secret: the name or ARN of one in Secrets Manager, or ssm:NAME for a parameter of Systems Manager.
declare -A secrets=(
  [WEBSERVER_AUTH_SECRET]='FILL-IN'
  [SENTRY_DSN]='FILL-IN'
  [LOGZIO_SHIPPING_TOKEN]='FILL-IN'
)
# -----------------------------------------------------------------------------------------------------------------------

umask 077
credentials=/etc/ecs-host-service/credentials

fail() {
  echo "user data: $*" >&2
  exit 1
}

# Writes a file atomically. Arguments: PATH MODE; the content comes from stdin.
put() {
  mkdir -p "$(dirname "$1")"
  cat > "$1.new"
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1"
}

region() {
  local token metadata=http://169.254.169.254/latest
  token=$(curl -fsS --retry 5 --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/api/token")
  curl -fsS --retry 5 --header "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/placement/region"
}

# Prints a secret to stdout. It never passes through a variable or a command line, which others could see.
fetch() {
  case $1 in
    ssm:*) aws ssm get-parameter --name "${1#ssm:}" --with-decryption --query Parameter.Value --output text ;;
    *) aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text ;;
  esac
}

ecs_settings() {
  # The agent's package defines the locations of its data and its log. 4678 is the port of the service.
  cat << END
ECS_CLUSTER=$cluster
ECS_ENABLE_TASK_IAM_ROLE=true
ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true
ECS_AVAILABLE_LOGGING_DRIVERS=["syslog","json-file","journald","awslogs"]
ECS_LOGLEVEL=info
ECS_SELINUX_CAPABLE=true
ECS_DISABLE_IMAGE_CLEANUP=true
ECS_IMAGE_PULL_BEHAVIOR=prefer-cached
ECS_RESERVED_PORTS=[22,2375,2376,4678,51678,51679]
END
  # On a host without a GPU, an agent that is configured for one does not start.
  if nvidia-smi --list-gpus > /dev/null 2>&1; then
    echo ECS_ENABLE_GPU_SUPPORT=true
    echo ECS_NVIDIA_RUNTIME=nvidia
  fi
}

service_settings() {
  cat << END
APP_ENV=$app_env
WEBSERVER_URL=$webserver_url
LOGZIO_URL=$logzio_url
END
}

case "$cluster $webserver_url $logzio_url ${secrets[*]}" in
  *FILL-IN*) fail "replace each FILL-IN at the top of this script" ;;
esac
# On Ubuntu, the AWS CLI is in snap's directory.
export PATH=$PATH:/snap/bin AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=10
AWS_DEFAULT_REGION=$(region)
export AWS_DEFAULT_REGION

# The agent's state in /var/lib/ecs/data stays: at the next boot it continues as the same container instance.
ecs_settings | put /etc/ecs/ecs.config 600
service_settings | put /etc/ecs-host-service/environment 600
for name in "${!secrets[@]}"; do
  fetch "${secrets[$name]}" | put "$credentials/$name" 600
  # "None" means that the secret exists and has no text.
  if ! grep -q . "$credentials/$name" || grep -qx None "$credentials/$name"; then fail "the secret $name is empty"; fi
done

# install.sh turns the secrets into systemd credentials, and enables the service. Docker may wait for the end of this
# script, so the script does not wait for the installation; "journalctl --unit=ecs-host-service-first-start" shows its
# result.
systemd-run --no-block --unit=ecs-host-service-first-start --property=Type=oneshot \
  --property=Wants='docker.service network-online.target' \
  --property=After='cloud-final.service docker.service network-online.target' \
  /bin/sh -ec '/opt/ecs-host-service/install.sh; systemctl start ecs-host-service.service'
