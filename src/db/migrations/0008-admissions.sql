-- Places for work of which only so much may run at a time: who asked for one, and who has one.
CREATE TABLE admissions (
  flow_id BIGINT PRIMARY KEY REFERENCES flows (id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  project TEXT NOT NULL,
  conductor_group TEXT NOT NULL,
  asked_at_ms BIGINT NOT NULL,
  admitted_at_ms BIGINT,
  position BIGINT
);
CREATE INDEX admissions_kind ON admissions (kind, admitted_at_ms);

-- Whoever hands out places does so alone.
CREATE TABLE turnstiles (
  name TEXT PRIMARY KEY,
  passed_at_ms BIGINT NOT NULL
);
INSERT INTO turnstiles VALUES ('deploy', 0);
INSERT INTO turnstiles VALUES ('clean', 0);
