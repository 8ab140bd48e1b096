-- How long phases of runs took that ended well, by model of machine and kind of run: what estimates rest on.
CREATE TABLE phase_times (
  model TEXT NOT NULL,
  -- Of the flow.
  kind TEXT NOT NULL,
  phase TEXT NOT NULL,
  -- The first phase of that name in a run is 1. Phase "run", occurrence 0: the whole.
  occurrence INTEGER NOT NULL,
  -- Of the last runs, the newest last: [[seconds, seconds from its end to that of the run, bytes or null], ...].
  samples TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (model, kind, phase, occurrence)
);
