"""The tables, for SQLite.

Rule: every change raises `SCHEMA_VERSION` and adds a migration from the previous version. Logins are stored in
normalized form. Columns named `sealed_…` are encrypted with the instance's key, and `digest` is an HMAC. JSON columns
contain no tokens.
"""

from __future__ import annotations

APPLICATION_ID = 0x5453_7462  # "TStb": marks our files among other programs' SQLite files
SCHEMA_VERSION = 5

_CREATE_INSTANCE = (
    "CREATE TABLE instance (id TEXT NOT NULL)",
)  # `InstanceKeys.id` of the key file that belongs to this database

_CREATE_UUID_INDEX = ("CREATE INDEX account_of_uuid ON account (json_extract(CAST(record AS TEXT), '$.uuid'))",)

MIGRATIONS = {
    2: _CREATE_INSTANCE,
    3: _CREATE_UUID_INDEX,
    4: (
        "DROP INDEX pin_counted_for",
        "ALTER TABLE pin DROP COLUMN counted_for",
        "ALTER TABLE account DROP COLUMN version",
    ),
}
"""The statements that lead from each version to the next."""

TABLES = (
    *_CREATE_INSTANCE,
    # Accounts, their devices, media servers, tokens and shares.
    """
    CREATE TABLE account (
        id INTEGER PRIMARY KEY,
        record BLOB NOT NULL,
        password_hash TEXT,
        sealed_verification BLOB,
        last_step INTEGER NOT NULL DEFAULT 0,   -- the last verification step that was used
        email_only_auth INTEGER NOT NULL,
        disabled_at INTEGER
    )
    """,
    # One name space: no account's user name is another account's e-mail address.
    """
    CREATE TABLE login (
        name TEXT PRIMARY KEY,
        account_id INTEGER NOT NULL REFERENCES account (id),
        is_username INTEGER NOT NULL            -- else it is the e-mail address only
    ) WITHOUT ROWID
    """,
    "CREATE INDEX login_of_account ON login (account_id)",
    """
    CREATE TABLE device (
        id INTEGER PRIMARY KEY,
        account_id INTEGER NOT NULL REFERENCES account (id),
        client_identifier TEXT NOT NULL,
        product TEXT,
        version TEXT,
        platform TEXT,
        platform_version TEXT,
        device TEXT,
        name TEXT,
        model TEXT,
        vendor TEXT,
        provides TEXT,
        screen_resolution TEXT,
        address TEXT,                           -- where it was last seen
        created_at INTEGER NOT NULL,
        last_seen_at INTEGER NOT NULL,
        UNIQUE (account_id, client_identifier)
    )
    """,
    """
    CREATE TABLE media_server (
        number INTEGER PRIMARY KEY,             -- the order they were added
        machine_identifier TEXT NOT NULL UNIQUE,
        owner_id INTEGER REFERENCES account (id), -- NULL if unclaimed
        name TEXT NOT NULL,
        port INTEGER,
        version TEXT NOT NULL,
        errors TEXT NOT NULL,
        platform TEXT NOT NULL,
        platform_version TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        sources BLOB NOT NULL
    )
    """,
    "CREATE INDEX media_server_of_owner ON media_server (owner_id)",
    """
    CREATE TABLE token (
        digest BLOB PRIMARY KEY,
        sealed BLOB NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('account', 'jwt', 'server', 'server_share')),
        account_id INTEGER NOT NULL REFERENCES account (id),
        device_id INTEGER REFERENCES device (id),
        machine_identifier TEXT REFERENCES media_server (machine_identifier),
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        revoked_at INTEGER,                     -- kept, so that seeding the world does not revive it
        -- A server's own token names it too, unless the machine is not a media server of this database.
        CHECK (CASE kind WHEN 'server_share' THEN machine_identifier IS NOT NULL
            WHEN 'server' THEN TRUE ELSE machine_identifier IS NULL END)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX token_of_account ON token (account_id)",
    "CREATE INDEX token_of_device ON token (device_id)",
    "CREATE INDEX token_of_server ON token (machine_identifier) WHERE machine_identifier IS NOT NULL",
    """
    CREATE TABLE share (
        account_id INTEGER NOT NULL REFERENCES account (id),
        machine_identifier TEXT NOT NULL REFERENCES media_server (machine_identifier),
        digest BLOB NOT NULL REFERENCES token (digest),
        PRIMARY KEY (account_id, machine_identifier)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX share_of_server ON share (machine_identifier)",
    "CREATE INDEX share_of_token ON share (digest)",
    # PINs.
    """
    CREATE TABLE pin (
        id INTEGER PRIMARY KEY,
        code TEXT NOT NULL,
        strong INTEGER NOT NULL,
        legacy INTEGER NOT NULL,
        client_identifier TEXT NOT NULL,
        client BLOB NOT NULL,                   -- what its client sent about itself, as JSON
        jwk TEXT,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        account_id INTEGER REFERENCES account (id),
        linked_at INTEGER,
        sealed_token BLOB,
        new_registration INTEGER,
        denied_at INTEGER,
        delivered_at INTEGER,
        by_account_id INTEGER REFERENCES account (id) -- who had switched to the approving account, if any
    )
    """,
    "CREATE INDEX pin_of_code ON pin (code)",
    "CREATE INDEX pin_that_ends ON pin (expires_at)",
    "CREATE INDEX pin_of_account ON pin (account_id) WHERE account_id IS NOT NULL",
    "CREATE INDEX pin_by_account ON pin (by_account_id) WHERE by_account_id IS NOT NULL",
    # Device keys, their nonces, and the keys that sign JWTs.
    """
    CREATE TABLE device_key (
        thumbprint TEXT PRIMARY KEY,            -- RFC 7638: one key, one device
        kid TEXT NOT NULL,
        jwk TEXT NOT NULL,
        device_id INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
        client_identifier TEXT NOT NULL,        -- the device's
        created_at INTEGER NOT NULL,
        first_jwt_at INTEGER,
        by_account_id INTEGER REFERENCES account (id), -- who had switched to the registering account, if any
        UNIQUE (client_identifier, kid)
    )
    """,
    "CREATE INDEX device_key_of_device ON device_key (device_id)",
    "CREATE INDEX device_key_by_account ON device_key (by_account_id) WHERE by_account_id IS NOT NULL",
    """
    CREATE TABLE nonce (
        digest BLOB PRIMARY KEY,
        client_identifier TEXT NOT NULL,
        expires_at INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX nonce_that_ends ON nonce (expires_at)",
    """
    CREATE TABLE signing_key (
        number INTEGER PRIMARY KEY,
        kid TEXT NOT NULL UNIQUE,
        sealed BLOB NOT NULL,
        jwk TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        replaced_at INTEGER,                    -- it signs no more; what it has signed stays valid
        revoked_at INTEGER                      -- what it has signed is invalid too
    )
    """,
    # Attempts at passwords, passcodes and codes.
    """
    CREATE TABLE attempt (
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,                  -- an account's id, or a digest of an unknown login
        tally BLOB NOT NULL,
        forgotten_at INTEGER,
        PRIMARY KEY (kind, subject)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX attempt_that_ends ON attempt (forgotten_at)",
    # Sessions of browsers.
    """
    CREATE TABLE session (                      -- a browser that is signed in to the pages
        digest BLOB PRIMARY KEY,
        account_id INTEGER NOT NULL REFERENCES account (id),
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        by_account_id INTEGER REFERENCES account (id) -- who switched to the account, if any
    ) WITHOUT ROWID
    """,
    "CREATE INDEX session_that_ends ON session (expires_at)",
    "CREATE INDEX session_of_account ON session (account_id)",
    "CREATE INDEX session_by_account ON session (by_account_id) WHERE by_account_id IS NOT NULL",
    # Claim tokens.
    """
    CREATE TABLE claim (
        digest BLOB PRIMARY KEY,
        account_id INTEGER NOT NULL REFERENCES account (id),
        origin BLOB,                            -- the requesting token or session, with which it ends
        expires_at INTEGER NOT NULL,
        spent_at INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE INDEX claim_of_account ON claim (account_id)",
    "CREATE INDEX claim_that_ends ON claim (expires_at)",
    # Plex Homes.
    """
    CREATE TABLE home (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        admin_id INTEGER NOT NULL REFERENCES account (id)
    )
    """,
    "CREATE INDEX home_of_admin ON home (admin_id)",
    # A row stays when its account leaves, so that seeding the world does not add it again.
    """
    CREATE TABLE home_member (
        account_id INTEGER PRIMARY KEY REFERENCES account (id),
        home_id INTEGER NOT NULL REFERENCES home (id),
        number INTEGER NOT NULL,                -- the order they came
        guest INTEGER NOT NULL,
        changed_at INTEGER NOT NULL,
        left_at INTEGER
    )
    """,
    "CREATE INDEX home_member_of_home ON home_member (home_id)",
    "CREATE TABLE passcode (account_id INTEGER PRIMARY KEY REFERENCES account (id), hash TEXT NOT NULL)",
    # Tokens from a Home switch, or issued by means of such a token: their account, and the account that switched.
    """
    CREATE TABLE home_switch (
        digest BLOB PRIMARY KEY REFERENCES token (digest) ON DELETE CASCADE,
        account_id INTEGER NOT NULL REFERENCES account (id),
        by_account_id INTEGER NOT NULL REFERENCES account (id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX home_switch_of_account ON home_switch (account_id)",
    "CREATE INDEX home_switch_by_account ON home_switch (by_account_id)",
    """
    CREATE TABLE home_invitation (
        id INTEGER PRIMARY KEY,
        home_id INTEGER NOT NULL REFERENCES home (id),
        account_id INTEGER NOT NULL REFERENCES account (id),
        created_at INTEGER NOT NULL,
        UNIQUE (home_id, account_id)
    )
    """,
    "CREATE INDEX home_invitation_of_account ON home_invitation (account_id)",
    *_CREATE_UUID_INDEX,
)
