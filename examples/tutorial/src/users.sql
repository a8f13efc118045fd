CREATE TABLE IF NOT EXISTS users (
    username TEXT PRIMARY KEY,
    full_name TEXT,
    email TEXT,
    hashed_password TEXT NOT NULL,
    disabled INTEGER NOT NULL
);
-- The passwords are "secret" and "secretalice".
INSERT OR IGNORE INTO users VALUES
    ('johndoe', 'John Doe', 'johndoe@example.com',
     '$argon2id$v=19$m=65536,t=3,p=4$wagCPXjifgvUFBzq4hqe3w$CYaIb8sB+wtD+Vu/P4uod1+Qof8h+1g7bbDlBID48Rc', 0),
    ('alice', 'Alice Chains', 'alicechains@example.com',
     '$argon2id$v=19$m=65536,t=3,p=4$g2/AV1zwopqUntPKJavBFw$BwpRGDCyUHLvHICnwijyX8ROGoiUPwNKZ7915MeYfCE', 1);
