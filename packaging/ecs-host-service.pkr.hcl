# Makes machine images (AMIs) for hosts, with Ubuntu 24.04 and with Amazon Linux 2023, from the tarball of `make build`.
# An image contains no settings, no secrets and no identity. User data adds them; see user-data.example.sh.
#
#   packer init packaging/ecs-host-service.pkr.hcl
#   packer build -var region=… -var tarball=build/ecs-host-service-….tar.gz -var commit=… \
#     -var ecs_agent_url=… -var ecs_agent_sha256=… packaging/ecs-host-service.pkr.hcl
#
# To make only one of the two images, use -only=amazon-ebs.ubuntu or -only=amazon-ebs.amazon-linux.

packer {
  required_version = ">= 1.8.0"
  required_plugins {
    amazon = {
      version = ">= 1.2.0"
      source  = "github.com/hashicorp/amazon"
    }
  }
}

variable "region" {
  type        = string
  description = "The region in which the image is made. List other regions in copy_to."
}

variable "copy_to" {
  type        = list(string)
  default     = []
  description = "Other regions that get a copy of the image."
}

variable "tarball" {
  type        = string
  description = "The tarball from \"make build\" for this architecture."
}

variable "commit" {
  type        = string
  description = "The commit of the tarball. Packer refuses a tarball of another commit."
}

variable "ecs_agent_url" {
  type        = string
  description = "For Ubuntu: the URL of the deb of amazon-ecs-init for this architecture. AWS documents it under \"Installing the Amazon ECS container agent\". Leave it empty if you make only the image with Amazon Linux, which includes the agent."
}

variable "ecs_agent_sha256" {
  type        = string
  description = "The SHA-256 of that deb, after you have verified its signature."
}

variable "architecture" {
  type        = string
  default     = "x86_64"
  description = "x86_64 or arm64."
}

variable "instance_type" {
  type        = string
  default     = ""
  description = "The type of the instance on which the image is made. Empty: a small one of the architecture."
}

variable "instance_profile" {
  type        = string
  default     = ""
  description = "The profile of the instance on which the image is made. It needs none."
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "The subnet in which the image is made. Empty: a subnet of the default VPC."
}

variable "ubuntu_owner" {
  type        = string
  default     = "099720109477"
  description = "The account of Canonical."
}

variable "ubuntu_name" {
  type        = string
  default     = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-*-server-*"
  description = "The newest image of this name and of the architecture is taken."
}

variable "amazon_linux_owner" {
  type    = string
  default = "amazon"
}

variable "amazon_linux_name" {
  type        = string
  default     = "al2023-ami-2023.*-kernel-6.1-*"
  description = "The newest image of this name and of the architecture is taken."
}

variable "encrypt" {
  type        = bool
  default     = false
  description = "Whether the image's snapshot is encrypted. Another account then needs access to the key to use the image."
}

variable "kms_key_id" {
  type        = string
  default     = ""
  description = "The key for encryption. Empty: the account's default key for EBS."
}

variable "force" {
  type        = bool
  default     = false
  description = "Whether to make the image even if it does not meet all requirements, for example without uinput for hosts with INPUT_DEVICES=optional."
}

locals {
  version       = regex_replace(basename(var.tarball), "^ecs-host-service-(.*)-linux-.*$", "$1")
  instance_type = var.instance_type != "" ? var.instance_type : (var.architecture == "arm64" ? "t4g.medium" : "t3.medium")
  made          = formatdate("YYYYMMDD-hhmm", timestamp())
  tags = {
    "ecs-host-service:version" = local.version
    "ecs-host-service:commit"  = var.commit
  }
  as_root = "chmod +x {{ .Path }}; sudo env {{ .Vars }} {{ .Path }}"
}

source "amazon-ebs" "host" {
  region                    = var.region
  ami_regions               = var.copy_to
  ami_virtualization_type   = "hvm"
  ena_support               = true
  imds_support              = "v2.0"
  instance_type             = local.instance_type
  iam_instance_profile      = var.instance_profile
  subnet_id                 = var.subnet_id
  ssh_clear_authorized_keys = true
  encrypt_boot              = var.encrypt ? true : null
  kms_key_id                = var.kms_key_id
  run_tags                  = merge(local.tags, { Name = "making an image of ecs-host-service" })
  snapshot_tags             = local.tags
  tags                      = merge(local.tags, { "ecs-host-service:base" = "{{ .SourceAMIName }}" })

  # For the instance on which the image is made. Hosts get theirs from their launch template; see docs/operations.md.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

build {
  source "amazon-ebs.host" {
    name            = "ubuntu"
    ami_name        = "ecs-host-service-${local.version}-ubuntu-24.04-${var.architecture}-${local.made}"
    ami_description = "Ubuntu 24.04 with ecs-host-service ${local.version}"
    ssh_username    = "ubuntu"

    source_ami_filter {
      owners      = [var.ubuntu_owner]
      most_recent = true
      filters = {
        name                = var.ubuntu_name
        architecture        = var.architecture
        root-device-type    = "ebs"
        virtualization-type = "hvm"
      }
    }

    launch_block_device_mappings {
      device_name           = "/dev/sda1"
      volume_type           = "gp3"
      volume_size           = 64
      iops                  = 3000
      throughput            = 125
      delete_on_termination = true
    }
  }

  source "amazon-ebs.host" {
    name            = "amazon-linux"
    ami_name        = "ecs-host-service-${local.version}-al2023-${var.architecture}-${local.made}"
    ami_description = "Amazon Linux 2023 with ecs-host-service ${local.version}"
    ssh_username    = "ec2-user"

    source_ami_filter {
      owners      = [var.amazon_linux_owner]
      most_recent = true
      filters = {
        name                = var.amazon_linux_name
        architecture        = var.architecture
        root-device-type    = "ebs"
        virtualization-type = "hvm"
      }
    }

    launch_block_device_mappings {
      device_name           = "/dev/xvda"
      volume_type           = "gp3"
      volume_size           = 64
      iops                  = 3000
      throughput            = 125
      delete_on_termination = true
    }
  }

  provisioner "shell" {
    execute_command = local.as_root
    inline_shebang  = "/bin/sh -eu"
    # Exit code 2 means that cloud-init finished with recoverable errors.
    inline = ["cloud-init status --wait || [ $? = 2 ]"]
  }

  # The packages of a host are never upgraded while it runs; a host with a new image replaces it.
  provisioner "shell" {
    only             = ["amazon-ebs.ubuntu"]
    execute_command  = local.as_root
    environment_vars = ["DEBIAN_FRONTEND=noninteractive"]
    inline_shebang   = "/bin/sh -eu"
    inline = [
      "systemctl mask --now apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service",
      "snap refresh --hold",
      "apt-get -qy -o DPkg::Lock::Timeout=600 update",
      "apt-get -qy -o DPkg::Lock::Timeout=600 purge unattended-upgrades",
      "apt-get -qy -o DPkg::Lock::Timeout=600 full-upgrade",
    ]
  }

  provisioner "shell" {
    only            = ["amazon-ebs.amazon-linux"]
    execute_command = local.as_root
    inline_shebang  = "/bin/sh -eu"
    inline          = ["dnf -qy upgrade"]
  }

  # The next step installs modules for the running kernel, so the newest kernel must run.
  provisioner "shell" {
    execute_command   = local.as_root
    expect_disconnect = true
    inline            = ["systemctl reboot"]
  }

  # ecs.service is masked during the installation, because an agent that ran here would leave its identity in the image.
  provisioner "shell" {
    only                = ["amazon-ebs.ubuntu"]
    pause_before        = "20s"
    start_retry_timeout = "10m"
    execute_command     = local.as_root
    environment_vars = [
      "DEBIAN_FRONTEND=noninteractive",
      "URL=${var.ecs_agent_url}",
      "SHA256=${var.ecs_agent_sha256}",
    ]
    inline_shebang = "/bin/sh -eu"
    inline = [
      "apt-get -qy install docker.io chrony iptables tar zstd lz4 curl \"linux-modules-extra-$(uname -r)\"",
      # The AWS CLI fetches secrets on hosts. On Ubuntu, it is available only as a snap.
      "snap install aws-cli --classic",
      "curl --fail --silent --show-error --location --proto =https --output /tmp/amazon-ecs-init.deb \"$URL\"",
      "echo \"$SHA256  /tmp/amazon-ecs-init.deb\" | sha256sum --check",
      "systemctl mask --runtime ecs.service",
      "apt-get -qy install /tmp/amazon-ecs-init.deb",
      "rm /tmp/amazon-ecs-init.deb",
      "apt-get -qy autoremove --purge",
      "apt-get clean",
    ]
  }

  provisioner "shell" {
    only                = ["amazon-ebs.amazon-linux"]
    pause_before        = "20s"
    start_retry_timeout = "10m"
    execute_command     = local.as_root
    inline_shebang      = "/bin/sh -eu"
    inline = [
      # For kernel 6.1, the names of the packages contain no version.
      "series=$(uname -r | cut -d. -f1-2)",
      "extra=kernel$([ \"$series\" = 6.1 ] || echo \"$series\")-modules-extra",
      "systemctl mask --runtime ecs.service",
      "dnf -qy install docker ecs-init chrony tar zstd lz4 \"$extra-$(uname -r)\"",
      "dnf -q clean all",
    ]
  }

  provisioner "file" {
    source      = var.tarball
    destination = "/tmp/ecs-host-service.tar.gz"
  }

  # The service has no settings yet. User data enables it later.
  provisioner "shell" {
    execute_command = local.as_root
    environment_vars = [
      "COMMIT=${var.commit}",
      "FORCE=${var.force ? "--force" : ""}",
    ]
    inline_shebang = "/bin/sh -eu"
    inline = [
      "systemctl enable --now docker.service",
      "mkdir /tmp/ecs-host-service",
      "tar -xzf /tmp/ecs-host-service.tar.gz --strip-components=1 -C /tmp/ecs-host-service",
      "grep -x \"commit $COMMIT\" /tmp/ecs-host-service/VERSION",
      "/tmp/ecs-host-service/install.sh $FORCE",
      "/opt/ecs-host-service/ecs-host-service doctor --host || [ -n \"$FORCE\" ]",
      "systemctl disable ecs-host-service.service",
      "systemctl unmask --runtime ecs.service",
      "systemctl disable ecs.service",
      "rm -r /tmp/ecs-host-service /tmp/ecs-host-service.tar.gz",
    ]
  }

  # Removes the identity of the host. systemd fills an empty machine-id at boot. A missing one would count as a first boot,
  # at which systemd enables the units that distributions preset, such as ecs.service.
  provisioner "shell" {
    execute_command = local.as_root
    inline_shebang  = "/bin/sh -eu"
    inline = [
      "systemctl stop docker.service docker.socket",
      "rm -rf /var/lib/ecs-host-service /var/lib/docker/engine-id /var/lib/ecs/data/* /var/log/ecs/*",
      "rm -f /etc/ssh/ssh_host_* /var/lib/systemd/random-seed",
      "cloud-init clean --logs",
      "journalctl --rotate --quiet",
      "journalctl --vacuum-time=1s --quiet",
      "truncate --size 0 /etc/machine-id",
      "sync",
    ]
  }

  post-processor "manifest" {
    output     = "build/images.json"
    strip_path = true
  }
}
