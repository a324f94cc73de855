//! Private PostgreSQL and MariaDB servers: a fresh database in a temporary folder, on a free port, not synced to disk.
//!
//! Both refuse to run as root, and are then run as the users that their packages made. They speak TLS where `openssl`
//! is there to make certificates.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use url::Url;

use super::folder::Folder;
use super::site::{decoded, option};
use super::{Kind, Server, free_port, is_root, process, program};

const POSTGRES: [&str; 4] = [
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/14/bin",
];

const MARIADB: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with a database `cache` of a user `ada`, whose password is `s3cret`.
#[derive(Debug)]
pub struct Sql {
    server: Server,
    scheme: &'static str,
    folder: Folder,
    port: u16,
}

impl Sql {
    /// A PostgreSQL server; `None` where it is not installed, or the user's is to be used.
    pub fn postgres() -> Option<Self> {
        if Kind::Postgresql.named().is_some() {
            return None;
        }
        let (postgres, initdb) = (program("postgres", &POSTGRES)?, program("initdb", &POSTGRES)?);
        let (port, user) = (free_port(), "postgres");
        let folder = Folder::new();
        let (data, password) = (folder.file("data"), folder.file("password"));
        fs::write(&password, "s3cret").unwrap();
        give(&folder.0, user);
        run(
            user,
            &[
                &text(&initdb),
                "-D",
                &data,
                "-U",
                "ada",
                "-A",
                "scram-sha-256",
                "--pwfile",
                &password,
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ],
        );
        let mut command = as_user(user);
        command.extend([text(&postgres), "-D".to_owned(), data]);
        let (port_text, sockets) = (port.to_string(), text(&folder.0));
        let mut settings = vec![
            format!("port={port_text}"),
            format!("unix_socket_directories={sockets}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "fsync=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "max_connections=200".to_owned(),
        ];
        if certificates(&folder.0, user) {
            settings.extend([
                "ssl=on".to_owned(),
                format!("ssl_cert_file={sockets}/cert.pem"),
                format!("ssl_key_file={sockets}/key.pem"),
            ]);
        }
        command.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let server = Server::start(command).listening(port, PATIENCE);
        let sql = Self { server, scheme: "postgresql", folder, port };
        ask(&sql.at("postgres"), "CREATE DATABASE cache");
        Some(sql)
    }

    /// A MariaDB server; `None` where it is not installed, or the user's is to be used.
    pub fn mariadb() -> Option<Self> {
        Self::mariadb_with(&[])
    }

    /// The same, with more options for the server.
    pub fn mariadb_with(options: &[&str]) -> Option<Self> {
        if Kind::Mysql.named().is_some() {
            return None;
        }
        let mariadbd = program("mariadbd", &MARIADB)?;
        let install = program("mariadb-install-db", &MARIADB)?;
        let (port, user) = (free_port(), "mysql");
        let folder = Folder::new();
        let (home, data) = (text(&folder.0), folder.file("data"));
        fs::write(
            folder.file("init.sql"),
            "CREATE DATABASE IF NOT EXISTS cache;\n\
             CREATE USER IF NOT EXISTS 'ada'@'%' IDENTIFIED BY 's3cret';\n\
             GRANT ALL ON *.* TO 'ada'@'%' WITH GRANT OPTION;\n",
        )
        .unwrap();
        give(&folder.0, user);
        run(
            user,
            &[
                &text(&install),
                "--no-defaults",
                &format!("--datadir={data}"),
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
            ],
        );
        let mut command = as_user(user);
        command.extend([
            text(&mariadbd),
            "--no-defaults".to_owned(),
            format!("--datadir={data}"),
            format!("--socket={home}/socket"),
            format!("--pid-file={home}/pid"),
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--init-file={home}/init.sql"),
            "--innodb-flush-log-at-trx-commit=2".to_owned(),
            "--innodb-doublewrite=0".to_owned(),
            "--skip-name-resolve".to_owned(),
            "--innodb-buffer-pool-size=64M".to_owned(),
        ]);
        command.extend(options.iter().map(|option| (*option).to_owned()));
        if certificates(&folder.0, user) {
            command.extend([
                format!("--ssl-cert={home}/cert.pem"),
                format!("--ssl-key={home}/key.pem"),
            ]);
        }
        let server = Server::start(command).listening(port, PATIENCE);
        Some(Self { server, scheme: "mysql", folder, port })
    }

    /// The address of a store whose tables begin with `prefix`.
    pub fn url(&self, prefix: &str) -> String {
        format!("{}&timeout=10", self.bare(&format!("prefix={prefix}")))
    }

    /// The address with these options.
    pub fn bare(&self, options: &str) -> String {
        let (scheme, port) = (self.scheme, self.port);
        format!("{scheme}://ada:s3cret@127.0.0.1:{port}/cache?{options}")
    }

    /// The certificate of those who signed the server's, where it has one.
    pub fn authority(&self) -> Option<PathBuf> {
        Some(self.folder.0.join("ca.pem")).filter(|file| file.is_file())
    }

    /// Runs a statement with the server's own client; its answer, without decoration.
    pub fn sql(&self, statement: &str) -> String {
        ask(&self.at("cache"), statement)
    }

    fn at(&self, database: &str) -> Url {
        let mut url = Url::parse(&self.bare("")).unwrap();
        url.set_path(database);
        url
    }

    /// Its processes: PostgreSQL has one for each connection.
    fn processes(&self) -> Vec<u32> {
        let parent = self.server.pid();
        std::iter::once(parent).chain(process::children(parent)).collect()
    }

    /// Stops it without ending it: connections stay open and nothing is answered.
    pub fn pause(&self) {
        // Who has stopped starts no more of them. One may have ended meanwhile.
        self.server.pause();
        for child in process::children(self.server.pid()) {
            process::stop(child);
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        for process in self.processes() {
            process::signal(process, "-CONT");
        }
    }

    /// Kills it at once, with all that it started.
    pub fn kill(&self) {
        let processes = self.processes();
        self.server.kill();
        for process in processes.iter().skip(1) {
            process::signal(*process, "-KILL");
        }
        let begun = Instant::now();
        while processes.iter().any(|process| Path::new(&format!("/proc/{process}")).exists()) {
            assert!(begun.elapsed() < PATIENCE, "{processes:?} do not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts it again after [`kill`](Self::kill), and waits until it answers.
    pub fn restart(&self) {
        self.server.restart();
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "it does not come back");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.sql("SELECT 1");
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        self.resume();
        self.kill();
    }
}

/// Runs a statement with the server's own client; its answer, without decoration. A server that is starting is waited
/// for.
pub(super) fn ask(url: &Url, statement: &str) -> String {
    let postgres = url.scheme().starts_with("postgres");
    let port = url.port().unwrap_or(if postgres { 5432 } else { 3306 }).to_string();
    let (host, user) = (url.host_str().unwrap_or("localhost"), decoded(url.username()));
    let password = decoded(url.password().unwrap_or_default());
    let database = decoded(url.path().trim_matches('/'));
    let authority = option(url, "ca");
    let (client, folders) =
        if postgres { ("psql", &POSTGRES[..]) } else { ("mariadb", &MARIADB[..]) };
    let mut command =
        Command::new(program(client, folders).unwrap_or_else(|| panic!("no {client}")));
    if postgres {
        command.env("PGPASSWORD", password).args(["-h", host, "-p", &port, "-U", &user]);
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", &database]);
        if let Some(file) = authority {
            command.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", file);
        }
        command.args(["-c", statement]);
    } else {
        command.env("MYSQL_PWD", password);
        command.args(["--no-defaults", "-h", host, "-P", &port, "-u", &user]);
        if let Some(file) = authority {
            command.arg(format!("--ssl-ca={file}"));
        }
        command.args(["-N", "-B", &database, "-e", statement]);
    }
    let begun = Instant::now();
    loop {
        let output = command.output().unwrap();
        if output.status.success() {
            return String::from_utf8_lossy(&output.stdout).trim().to_owned();
        }
        let said = String::from_utf8_lossy(&output.stderr);
        // It listens before it answers.
        let early =
            ["starting up", "not yet accepting", "recovery"].iter().any(|word| said.contains(word));
        assert!(begun.elapsed() < PATIENCE && early, "{statement}: {said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Removes the tables of the store with this prefix from the user's database.
pub(super) fn erase(url: &Url, prefix: &str) {
    let (found, sequence) = if url.scheme().starts_with("postgres") {
        let found = format!("SELECT tablename FROM pg_tables WHERE tablename LIKE '{prefix}\\_%'");
        (found, format!("; DROP SEQUENCE IF EXISTS {prefix}_v2_version"))
    } else {
        let found =
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()";
        (format!("{found} AND table_name LIKE '{prefix}\\_%'"), String::new())
    };
    let tables = ask(url, &found);
    let tables: Vec<&str> = tables.lines().collect();
    if !tables.is_empty() {
        ask(url, &format!("DROP TABLE {}{sequence}", tables.join(", ")));
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Hands files to the user as whom the server runs.
fn give(path: &Path, user: &str) {
    if !is_root() {
        return;
    }
    let id = |flag: &str| {
        let output = Command::new("id").args([flag, user]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    chown(path, id("-u"), id("-g")).unwrap();
    for file in fs::read_dir(path).into_iter().flatten().flatten() {
        chown(file.path(), id("-u"), id("-g")).unwrap();
    }
}

/// What runs a program as `user`. A change of user makes a process forget that it should die with its parent.
fn as_user(user: &str) -> Vec<String> {
    if !is_root() {
        return Vec::new();
    }
    ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--pdeathsig", "KILL"]
        .map(str::to_owned)
        .to_vec()
}

fn run(user: &str, command: &[&str]) {
    let mut all = as_user(user);
    all.extend(command.iter().map(|word| (*word).to_owned()));
    let output = Command::new(&all[0]).args(&all[1..]).current_dir("/").output().unwrap();
    assert!(output.status.success(), "{all:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an authority and a certificate for this machine; whether that could be done.
fn certificates(folder: &Path, user: &str) -> bool {
    let Some(openssl) = program("openssl", &[]) else { return false };
    let key =
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=afresh"];
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    let orders: [&[&str]; 3] = [
        &["req", "-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"],
        &["req", "-keyout", "key.pem", "-out", "request.pem"],
        &[
            "x509",
            "-req",
            "-in",
            "request.pem",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "cert.pem",
        ],
    ];
    for order in orders {
        let mut command = Command::new(&openssl);
        command.current_dir(folder).args(order);
        if order[0] == "req" {
            command.args(key);
        }
        if !command.output().is_ok_and(|output| output.status.success()) {
            return false;
        }
    }
    give(folder, user);
    true
}
