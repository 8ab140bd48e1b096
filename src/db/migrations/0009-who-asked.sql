-- The project that a request came from, beside the user.
ALTER TABLE flows ADD COLUMN requested_project TEXT;
