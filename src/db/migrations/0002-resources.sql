-- Chassis, traits of nodes, portgroups, volumes, deploy templates, runbooks, inspection rules.

-- Where nodes stand.
CREATE TABLE chassis (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  description TEXT,
  extra TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT
);
ALTER TABLE nodes ADD COLUMN chassis_uuid TEXT REFERENCES chassis (uuid);
-- A list of texts.
ALTER TABLE nodes ADD COLUMN traits TEXT NOT NULL DEFAULT '[]';
CREATE INDEX nodes_chassis_uuid ON nodes (chassis_uuid);

-- Ports of a node that act as one.
CREATE TABLE portgroups (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  address TEXT UNIQUE,
  name TEXT UNIQUE,
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  extra TEXT NOT NULL,
  internal_info TEXT NOT NULL,
  standalone_ports_supported INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  mode TEXT,
  properties TEXT NOT NULL,
  physical_network TEXT,
  category TEXT,
  dynamic_portgroup INTEGER NOT NULL
);
CREATE INDEX portgroups_node_uuid ON portgroups (node_uuid);
CREATE INDEX ports_portgroup_uuid ON ports (portgroup_uuid);

-- By what a node reaches remote volumes.
CREATE TABLE volume_connectors (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  type TEXT NOT NULL,
  connector_id TEXT NOT NULL,
  extra TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  UNIQUE (type, connector_id)
);
CREATE INDEX volume_connectors_node_uuid ON volume_connectors (node_uuid);

-- Remote volumes of a node; boot_index 0 is the one it boots from.
CREATE TABLE volume_targets (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  node_uuid TEXT NOT NULL REFERENCES nodes (uuid) ON DELETE CASCADE,
  volume_type TEXT NOT NULL,
  boot_index BIGINT NOT NULL,
  volume_id TEXT NOT NULL,
  properties TEXT NOT NULL,
  extra TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  UNIQUE (node_uuid, boot_index)
);

-- Deploy steps that the trait of the same name brings along.
CREATE TABLE deploy_templates (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  -- Stored and never shown.
  description TEXT,
  steps TEXT NOT NULL,
  extra TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT
);

-- Steps under a name, for cleaning and servicing.
CREATE TABLE runbooks (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  description TEXT,
  steps TEXT NOT NULL,
  disable_ramdisk INTEGER NOT NULL,
  extra TEXT NOT NULL,
  public INTEGER NOT NULL,
  owner TEXT,
  traits TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT
);

-- What an inspection does with what it found.
CREATE TABLE inspection_rules (
  id @identity,
  uuid TEXT NOT NULL UNIQUE,
  description TEXT,
  priority INTEGER NOT NULL,
  phase TEXT NOT NULL,
  sensitive INTEGER NOT NULL,
  conditions TEXT NOT NULL,
  actions TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT
);
