-- Where events are delivered to, and how far that is: one process delivers at a time, any may go on.
CREATE TABLE event_sinks (
  name TEXT PRIMARY KEY,
  -- Number of the last event that was delivered, or was not to be.
  position BIGINT NOT NULL,
  -- Who delivers, and until when nobody else does.
  holder TEXT,
  until_ms BIGINT NOT NULL DEFAULT 0,
  -- Deliveries in a row that failed, and when the next is tried.
  failures INTEGER NOT NULL DEFAULT 0,
  retry_at_ms BIGINT NOT NULL DEFAULT 0
);
