-- What a node's BMC measured last, for metrics; whoever works on the node.
CREATE TABLE sensors (
  node_uuid TEXT PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
  -- When to read next; any conductor of the node's group takes what is due.
  due_ms BIGINT NOT NULL,
  -- When it was read last, and what was found: by type and name. NULL: never yet.
  read_at_ms BIGINT,
  data TEXT,
  -- Why the last read failed; NULL when it did not.
  error TEXT
);
CREATE INDEX sensors_due ON sensors (due_ms);
