-- What is read from a node's BMC now and then, whoever works on the node; any conductor takes what is due.
CREATE TABLE watches (
  node_uuid TEXT PRIMARY KEY REFERENCES nodes (uuid) ON DELETE CASCADE,
  due_ms BIGINT NOT NULL,
  -- Reads in a row that failed, or told another power state than the node's.
  failures INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX watches_due ON watches (due_ms);
