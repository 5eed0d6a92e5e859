variable "project" {
  description = "The Google Cloud project."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "Expected a project id of 6 to 30 characters, such as my-project."
  }
}

variable "region" {
  description = "Where everything runs, such as europe-west1."
  type        = string
}

variable "name" {
  description = "Prefix of all names, and the name of the Dataflow job (--job_name); one for each spec."
  type        = string
  default     = "user-state"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,20}$", var.name))
    error_message = "Expected 3 to 21 lower-case letters, digits and hyphens."
  }
}

variable "bucket" {
  description = "Cloud Storage bucket for Dataflow's staging and temporary files, without gs://."
  type        = string
}

variable "image_repository" {
  description = "Artifact Registry repository in `region` that holds the image."
  type        = string
}

variable "network" {
  description = "Id of the VPC network that workers and Redis share: projects/P/global/networks/N."
  type        = string
}

variable "redis_memory_gb" {
  description = "Memory of Redis, GB: what `user-state plan` says, and a fifth more."
  type        = number
  validation {
    condition     = var.redis_memory_gb >= 5 && var.redis_memory_gb <= 300
    error_message = "Expected 5 to 300 GB: beyond that take Memorystore for Redis Cluster, and redis-cluster:// URLs."
  }
}

variable "retention_days" {
  description = "How long Pub/Sub keeps what is not acknowledged, and what was: how far back a subscription can be sought."
  type        = number
  default     = 7
  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 7
    error_message = "Expected 1 to 7 days."
  }
}

variable "publishers" {
  description = "Who publishes events, such as serviceAccount:app@my-project.iam.gserviceaccount.com."
  type        = set(string)
  default     = []
}

variable "notification_channels" {
  description = "Ids of Cloud Monitoring notification channels for the alerts."
  type        = list(string)
  default     = []
}

variable "oldest_message_alert_s" {
  description = "Age of the oldest message that waits, from which somebody is called, seconds."
  type        = number
  default     = 120
}
