//! `mapae user import --format supabase`.

use serde_json::Value;

use crate::server::Server;
use crate::support::{Ended, Home};

/// What `pg_dump --data-only -t auth.users` writes, in the columns that GoTrue has, with another table around.
const DUMP: &str = r#"--
-- PostgreSQL database dump
--

SET statement_timeout = 0;

COPY auth.instances (id, uuid) FROM stdin;
00000000-0000-0000-0000-000000000000	\N
\.


--
-- Data for Name: users; Type: TABLE DATA; Schema: auth; Owner: supabase_auth_admin
--

COPY auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, phone, banned_until, deleted_at) FROM stdin;
00000000-0000-0000-0000-000000000000	1d2c0b6e-0000-4000-8000-000000000001	authenticated	authenticated	ada@example.com	$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu	2023-01-31 12:00:00.5+00	{"provider": "email"}	{"full_name": "Ada \\"L\\" Lovelace"}	2023-01-31 12:00:00.512345+00	\N	2020-01-01 00:00:00+00	\N
00000000-0000-0000-0000-000000000000	1d2c0b6e-0000-4000-8000-000000000002	authenticated	authenticated	bob@example.com	$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu	\N	{}	{"name": "Bob"}	2023-01-31 21:00:00+09	\N	2999-01-01 00:00:00+05:30	\N
00000000-0000-0000-0000-000000000000	1d2c0b6e-0000-4000-8000-000000000003	authenticated	authenticated	cleo@example.com		\N	{}	\N	2023-01-31 12:00:00+00	\N	\N	\N
00000000-0000-0000-0000-000000000000	1d2c0b6e-0000-4000-8000-000000000004	authenticated	authenticated	dora@example.com	$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu	\N	{}	\N	2023-01-31 12:00:00+00	\N	\N	2024-01-01 00:00:00+00
00000000-0000-0000-0000-000000000000	1d2c0b6e-0000-4000-8000-000000000005	authenticated	authenticated	\N	$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu	\N	{}	\N	2023-01-31 12:00:00+00	+491701234567	\N	\N
too	few	fields
00000000-0000-0000-0000-000000000000	1d2c0b6e-0000-4000-8000-000000000006	authenticated	authenticated	fay@example.com	$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu	\N	{}	\N	yesterday	\N	\N	\N
\.

COPY public.notes (id, text) FROM stdin;
1	COPY auth.users
\.
"#;

fn import(home: &Home, dump: &str) -> Ended {
    home.run_with_input(&["user", "import", "--format", "supabase"], &[], dump)
}

#[tokio::test]
async fn the_users_of_a_dump_sign_in() {
    let home = Home::migrated();
    let ended = import(&home, DUMP);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), "Imported 2; 0 were there already; 5 were refused.\n"));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let id = "id \"1d2c0b6e-0000-4000-8000-00000000000";
    assert_eq!(
        lines,
        [
            format!("mapae: line 19, {id}3\": There is no password to sign in with."),
            format!("mapae: line 20, {id}4\": The account was deleted there."),
            "mapae: line 22: The line is no row of this table.".to_owned(),
            format!("mapae: line 23, {id}6\": The column created_at is no time."),
            format!("mapae: line 21, {id}5\": There is neither a user name nor an e-mail address."),
        ]
    );
    let quoted = DUMP
        .replace("COPY auth.users (instance_id, id,", "COPY \"auth\".\"users\" (\"instance_id\", \"id\",")
        .replace('\n', "\r\n");
    assert_eq!(import(&home, &quoted).stdout, "Imported 0; 2 were there already; 5 were refused.\n");

    let shown = home.beside(&["user", "show", "ada@example.com", "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["id"], "1d2c0b6e-0000-4000-8000-000000000001");
    assert_eq!((&shown["full_name"], &shown["disabled"]), (&"Ada \"L\" Lovelace".into(), &false.into()));
    assert_eq!(shown["created_at"], "2023-01-31T12:00:00.512Z");

    let server = Server::start(&home, &[]);
    assert_eq!(server.sign_in("ada@example.com", "secret", "").await.0, 200, "the ban is over");
    assert_eq!(server.sign_in("bob@example.com", "secret", "").await.0, 401, "banned there, disabled here");
}

/// What `pg_dump --column-inserts` writes, and `supabase db dump` with its quotes and several rows to a statement.
const INSERTS: &str = r#"SET standard_conforming_strings = on;

INSERT INTO public.notes (id, text) VALUES (1, 'INSERT INTO auth.users (id) VALUES (1);');

INSERT INTO auth.users (instance_id, id, email, encrypted_password, raw_user_meta_data, created_at, is_sso_user, email_change_confirm_status) VALUES (NULL, '1d2c0b6e-0000-4000-8000-000000000001', 'ada@example.com', '$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu', '{"full_name": "Ada O''Hara, (\"L\")"}', '2023-01-31 12:00:00.512345+00', false, 0);
INSERT INTO "auth"."users" ("instance_id", "id", "email", "encrypted_password", "raw_user_meta_data", "created_at", "banned_until") VALUES
	(NULL, '1d2c0b6e-0000-4000-8000-000000000002', 'bob@example.com', '$2b$04$F/HmwTooDtVSNUqqZw.bHOhIKXPHKPUjQPbEQZkvXgUlDfchdh.gu', '{"name":
"Bob O''Brien"}', '2023-01-31 21:00:00+09', NULL),
	(NULL, now(), 'eve@example.com', NULL, NULL, NULL, NULL),
	(NULL, '1d2c0b6e-0000-4000-8000-000000000003', 'cleo@example.com', '', NULL, '2023-01-31 21:00:00+09', NULL);

INSERT INTO public.notes (id, text) VALUES (2, 'x');
"#;

#[tokio::test]
async fn the_users_of_insert_statements_sign_in() {
    let home = Home::migrated();
    let ended = import(&home, INSERTS);
    assert_eq!(ended.stdout, "Imported 2; 0 were there already; 2 were refused.\n", "{}", ended.stderr);
    let told = |line: u32, why: &str| format!("mapae: line {line}{why}\n");
    let id = "id \"1d2c0b6e-0000-4000-8000-00000000000";
    assert_eq!(
        ended.stderr,
        [
            told(9, ": The line is no row of this table."),
            told(10, &format!(", {id}3\": There is no password to sign in with.")),
        ]
        .concat()
    );
    for (address, name) in [("ada@example.com", "Ada O'Hara, (\"L\")"), ("bob@example.com", "Bob O'Brien")] {
        let shown = home.beside(&["user", "show", address, "--json"]).stdout;
        assert_eq!(serde_json::from_str::<Value>(&shown).expect("JSON")["full_name"], name);
    }
    let server = Server::start(&home, &[]);
    assert_eq!(server.sign_in("ada@example.com", "secret", "").await.0, 200);
}

#[test]
fn other_dumps_are_refused_with_what_to_do() {
    let home = Home::migrated();
    for (dump, expected) in [
        ("", "no data of the table auth.users"),
        ("COPY public.users (id) FROM stdin;\n1\n\\.\n", "no data of the table auth.users"),
        ("INSERT INTO auth.users VALUES ('1');\n", "pg_dump --column-inserts"),
    ] {
        let ended = import(&home, dump);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}
