//! Private Redis servers: one, one behind TLS, a master with a replica and a sentinel, a cluster of three.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use url::Url;

use super::folder::Folder;
use super::{Kind, Server, free_port, program};

/// How long a server may take to listen, on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
#[derive(Debug)]
pub struct Redis {
    /// Its process.
    pub server: Server,
    /// Where it listens on the loopback.
    pub port: u16,
    folder: Folder,
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Redis {
    /// Starts a server that keeps nothing on disk, with these options besides. `None` where there is no Redis, or the
    /// user's is to be used.
    pub fn start(options: &[&str]) -> Option<Self> {
        Self::start_in(Folder::new(), free_port(), options, true)
    }

    /// Starts a server that listens with TLS only; its certificate is in [`Redis::authority`].
    pub fn start_tls() -> Option<Self> {
        let (folder, port) = (Folder::new(), free_port());
        let openssl = program("openssl", &["/usr/bin"])?;
        let (key, authority) = (folder.file("key.pem"), folder.file("ca.pem"));
        let made = Command::new(openssl)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", &key, "-out", &authority])
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "openssl made no certificate");
        let number = port.to_string();
        let options = [
            "--port",
            "0",
            "--tls-port",
            &number,
            "--tls-cert-file",
            &authority,
            "--tls-key-file",
            &key,
            "--tls-auth-clients",
            "no",
        ];
        Self::start_in(folder, port, &options, false)
    }

    fn start_in(folder: Folder, port: u16, options: &[&str], plain: bool) -> Option<Self> {
        if Kind::Redis.named().is_some() {
            return None;
        }
        let redis = program("redis-server", &["/usr/bin", "/usr/local/bin"])?;
        let mut command = vec![redis.to_str()?.to_owned()];
        if plain {
            command.extend(strings(&["--port", &port.to_string()]));
        }
        command.extend(strings(&["--bind", "127.0.0.1", "--dir", folder.0.to_str()?]));
        command.extend(strings(&[
            "--save",
            "",
            "--appendonly",
            "no",
            "--enable-debug-command",
            "yes",
        ]));
        command.extend(strings(options));
        let server = Server::start(command).listening(port, PATIENCE);
        Some(Self { server, port, folder })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The file with the certificate of a server with TLS.
    pub fn authority(&self) -> String {
        self.folder.file("ca.pem")
    }

    /// Runs a command on it with `redis-cli` and tells what it prints.
    pub fn cli(&self, words: &[&str]) -> String {
        cli(self.port, words)
    }

    /// Starts it again after it was killed, and waits until it listens.
    pub fn restart(&self) {
        self.server.restart();
        wait(|| std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }
}

fn cli(port: u16, words: &[&str]) -> String {
    let done = Command::new("redis-cli")
        .args(["-p", &port.to_string()])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

fn wait(mut ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < PATIENCE, "what was waited for did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Three masters that share the slots.
#[derive(Debug)]
pub struct Cluster {
    /// The servers.
    pub nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts a cluster. `None` where there is no Redis.
    ///
    /// Its servers do not know their own names, so that they are where they were asked: whoever asks at `127.0.0.2` goes
    /// there for all of them, and a proxy for each may listen there at the port of the server.
    pub fn start() -> Option<Self> {
        let nodes: Option<Vec<Redis>> = (0..3)
            .map(|_| {
                let bus = free_port().to_string();
                let nameless = ["--cluster-preferred-endpoint-type", "unknown-endpoint"];
                Redis::start(
                    &[&["--cluster-enabled", "yes", "--cluster-port", &bus], &nameless[..]]
                        .concat(),
                )
            })
            .collect();
        let nodes = nodes?;
        let places: Vec<String> =
            nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let mut words = vec!["--cluster", "create"];
        words.extend(places.iter().map(String::as_str));
        words.push("--cluster-yes");
        cli(nodes[0].port, &words);
        wait(|| {
            nodes.iter().all(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok"))
        });
        Some(Self { nodes })
    }

    /// Its address, by one of the servers.
    pub fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{}", self.nodes[0].port)
    }
}

/// A master, its replica, and a sentinel that watches over them.
#[derive(Debug)]
pub struct Watched {
    /// The first master.
    pub master: Redis,
    /// Who takes over.
    pub replica: Redis,
    sentinel: Server,
    port: u16,
    _folder: Folder,
}

impl Watched {
    /// Starts all three. `None` where there is no Redis.
    pub fn start() -> Option<Self> {
        let master = Redis::start(&[])?;
        let of = format!("127.0.0.1 {}", master.port);
        let replica = Redis::start(&["--replicaof", &of, "--repl-diskless-sync-delay", "0"])?;
        let (folder, port) = (Folder::new(), free_port());
        let file = folder.file("sentinel.conf");
        let lines = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds mymaster 500\n\
             sentinel failover-timeout mymaster 3000\n",
            Path::new(&folder.0).display(),
            master.port,
        );
        std::fs::write(&file, lines).unwrap();
        let redis = program("redis-server", &["/usr/bin", "/usr/local/bin"])?;
        let command = vec![redis.to_str()?.to_owned(), file, "--sentinel".to_owned()];
        let sentinel = Server::start(command).listening(port, PATIENCE);
        let this = Self { master, replica, sentinel, port, _folder: folder };
        wait(|| this.replica.cli(&["info", "replication"]).contains("master_link_status:up"));
        wait(|| cli(port, &["sentinel", "replicas", "mymaster"]).contains("127.0.0.1"));
        Some(this)
    }

    /// Its address, by the sentinel.
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/mymaster", self.port)
    }

    /// The sentinel's process.
    pub fn sentinel(&self) -> &Server {
        &self.sentinel
    }
}

/// Removes the keys of the store with this prefix from the user's server.
pub(super) fn erase(url: &Url, prefix: &str) {
    const SCRIPT: &str = "local at = '0' repeat local found = redis.call('SCAN', at, 'MATCH', ARGV[1], 'COUNT', 1000) \
                          at = found[1] for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end \
                          until at == '0'";
    let port = url.port().unwrap_or(6379);
    let host = url.host_str().unwrap_or("localhost");
    let mut places = vec![(host.to_owned(), port.to_string())];
    if url.scheme().ends_with("+cluster") {
        let nodes = ask(url, host, &port.to_string(), &["CLUSTER", "NODES"]);
        let masters = nodes.lines().filter(|line| line.contains("master"));
        let address = |line: &str| line.split([' ', '@']).nth(1).map(str::to_owned);
        places = masters
            .filter_map(|line| {
                let (there, port) = address(line)?
                    .rsplit_once(':')
                    .map(|(host, port)| (host.to_owned(), port.to_owned()))?;
                Some((if there.is_empty() { host.to_owned() } else { there }, port))
            })
            .collect();
    }
    for (host, port) in places {
        ask(url, &host, &port, &["EVAL", SCRIPT, "0", &format!("{{{prefix}:1*")]);
    }
}

/// What `redis-cli` prints at one of the user's servers.
fn ask(url: &Url, host: &str, port: &str, words: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-h", host, "-p", port, "-e", "--no-auth-warning"]);
    if let Some(password) = url.password() {
        command.env("REDISCLI_AUTH", super::site::decoded(password));
    }
    if !url.username().is_empty() {
        command.args(["--user", &super::site::decoded(url.username())]);
    }
    if url.scheme().starts_with("rediss") {
        command.arg("--tls");
    }
    let option = |name: &str| super::site::option(url, name);
    if let Some(authority) = option("ca") {
        command.args(["--cacert", &authority]);
    }
    let database = url.path().trim_matches('/');
    if !database.is_empty() {
        command.args(["-n", database]);
    }
    let done = command.args(words).stdin(Stdio::null()).output().unwrap();
    let (out, said) =
        (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "redis-cli {}: {out} {said}", words[0]);
    out.trim().to_owned()
}
