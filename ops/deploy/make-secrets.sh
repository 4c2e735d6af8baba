#!/bin/sh
# Makes the secrets of docker-compose.yml in ./secrets (or the folder given). What is there already stays: run it again after an upgrade.
# The folder is closed to others; the files in it are readable, since each container reads them as a user of its own.
set -eu
folder=${1:-secrets}
umask 077
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # keep NAME VALUE: writes VALUE unless the file is there
    [ -e "$folder/$1" ] || printf '%s' "$2" > "$folder/$1"
    chmod 444 "$folder/$1"
}

keep cuepoint_admin_key "$(random)"
keep cuepoint_api_keys "$(random)"
keep grafana_admin_password "$(random)"
keep postgres_password "$(random)"
keep redis_password "$(random)"
keep redis_acl "user default on >$(cat "$folder/redis_password") ~* &* +@all"
keep cuepoint_redis_url "redis://:$(cat "$folder/redis_password")@redis:6379/0"
keep cuepoint_database_url "postgresql+psycopg://cuepoint:$(cat "$folder/postgres_password")@postgres:5432/cuepoint"
echo "secrets are in $folder"
