CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    hashed_password TEXT NOT NULL
);
-- The password is "secret", in bcrypt as the post has it.
INSERT OR IGNORE INTO users VALUES (1, 'johndoe', '$2b$12$VlbyaMGpClKI63ht4YYpnOI4MOVdAy4MKAykYN.mo2NY5ZZ3z/T.S');
