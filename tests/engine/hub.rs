//! Models by name: a cache that is there, a small server in the place of the hub, and everything
//! that can go wrong between them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// What a server holds and how it answers.
#[derive(Default)]
struct Hub {
    files: BTreeMap<String, Vec<u8>>,
    /// A status in place of every answer.
    status: Option<u16>,
    /// The file that breaks off in the middle.
    broken: Option<&'static str>,
    /// The token that is asked for.
    token: Option<&'static str>,
    /// Files whose bytes were asked for, beyond the first one.
    fetched: BTreeSet<String>,
    requests: usize,
}

/// A server on this machine that speaks as much of the hub's language as is needed.
struct Server {
    address: String,
    hub: Arc<Mutex<Hub>>,
}

impl Server {
    fn start(hub: Hub) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let hub = Arc::new(Mutex::new(hub));
        let shared = hub.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Server { address, hub }
    }

    fn change(&self, change: impl FnOnce(&mut Hub)) {
        change(&mut self.hub.lock().unwrap());
    }

    fn fetched(&self) -> Vec<String> {
        self.hub.lock().unwrap().fetched.iter().cloned().collect()
    }
}

/// Answers the requests of one connection.
fn serve(mut stream: TcpStream, hub: &Mutex<Hub>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let path = head[0].split(' ').nth(1).unwrap_or("").to_owned();
        let header = |name: &str| {
            let found = head.iter().find(|l| l.to_lowercase().starts_with(&format!("{name}:")));
            found.map(|line| line[name.len() + 1..].trim().to_owned())
        };
        let from = header("range").and_then(|r| {
            r.strip_prefix("bytes=")?
                .split_once('-')
                .map(|(f, t)| (f.parse::<usize>().unwrap_or(0), t.parse::<usize>().ok()))
        });
        if !answer(&mut stream, hub, &path, from, header("authorization")) {
            return;
        }
    }
}

/// Writes one answer; whether the connection goes on.
fn answer(
    stream: &mut TcpStream,
    hub: &Mutex<Hub>,
    path: &str,
    range: Option<(usize, Option<usize>)>,
    token: Option<String>,
) -> bool {
    let mut hub = hub.lock().unwrap();
    hub.requests += 1;
    let refused = hub.token.is_some_and(|wanted| token != Some(format!("Bearer {wanted}")));
    let status = hub.status.or(refused.then_some(401));
    let mut send = |status: &str, headers: &str, promised: usize, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {promised}\r\n{headers}\r\n");
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(body);
        let _ = stream.flush();
        promised == body.len()
    };
    if let Some(status) = status {
        return send(&format!("{status} No"), "", 0, b"");
    }
    if path == "/api/models/org/tiny/revision/main" {
        let siblings: Vec<_> =
            hub.files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let body = serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string();
        return send("200 OK", "Content-Type: application/json\r\n", body.len(), body.as_bytes());
    }
    let name = path.strip_prefix("/org/tiny/resolve/main/").unwrap_or("").to_owned();
    let Some(bytes) = hub.files.get(&name).cloned() else { return send("404 Not Found", "", 0, b"") };
    let (first, last) = range.unwrap_or((0, None));
    let first = first.min(bytes.len());
    let end = last.map_or(bytes.len(), |last| (last + 1).min(bytes.len()));
    let mut body = &bytes[first..end];
    let promised = body.len();
    if last.is_none() {
        hub.fetched.insert(name.clone());
        if hub.broken.is_some_and(|broken| broken == name) {
            body = &body[..body.len() / 2];
        }
    }
    let headers = format!(
        "ETag: \"etag-of-{}\"\r\nx-repo-commit: {COMMIT}\r\nContent-Range: bytes {first}-{}/{}\r\n",
        name.replace('.', "-"),
        end.saturating_sub(1),
        bytes.len()
    );
    send("206 Partial Content", &headers, promised, body)
}

/// The files of a recorded model, and others that nobody needs.
fn tiny() -> Hub {
    let mut hub = Hub::default();
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        let bytes = std::fs::read(golden("heads/masked_lm").join(name)).unwrap();
        hub.files.insert(name.to_owned(), bytes);
    }
    for name in ["README.md", "tf_model.h5", "pytorch_model.bin", "onnx/model.onnx"] {
        hub.files.insert(name.to_owned(), b"not needed".to_vec());
    }
    hub
}

/// A folder with a recipe, its data and a cache.
struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    fn new() -> Self {
        let shop = Workshop { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(shop.path("data")).unwrap();
        for file in ["data/train.txt", "data/dev.txt"] {
            std::fs::write(shop.path(file), "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10\n").unwrap();
        }
        shop.recipe("org/tiny", "");
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn recipe(&self, model: &str, more: &str) {
        let text = format!(
            "edition 2026
recipe r for 1 epochs {{
  model: \"{model}\"
  data: masked_text(max_length: 8)
  lr {{ 0..1 epochs: 1e-4 }}
{more}}}
"
        );
        std::fs::write(self.path("r.obert"), text).unwrap();
    }

    fn obertc(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_obertc"));
        for name in [
            "HF_TOKEN",
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "http_proxy",
            "HTTP_PROXY",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.folder.path());
        command.env("NO_COLOR", "1").env("HF_HOME", self.path("home")).envs(environment.iter().copied());
        let output = command.output().unwrap();
        let said = [output.stderr, output.stdout].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    fn run(&self, server: &Server, more: &[&str]) -> (Option<i32>, String) {
        let out = format!("out{}", std::fs::read_dir(self.folder.path()).unwrap().count());
        let mut arguments = vec!["run", "r.obert", "--data", "data", "--out", &out];
        arguments.extend(more);
        self.obertc(&arguments, &[("HF_ENDPOINT", &server.address)])
    }

    fn fails(&self, server: &Server, more: &[&str], code: &str, expected: &str) {
        let (status, said) = self.run(server, more);
        assert_eq!(status, Some(1), "{said}");
        // As wide as it was wrapped for.
        let words: Vec<&str> = said.split_whitespace().filter(|word| *word != "│").collect();
        assert!(
            said.contains(code) && words.join(" ").contains(expected),
            "no {code}, or not `{expected}`:\n{said}"
        );
    }
}

#[test]
fn a_model_is_fetched_by_name_once_and_only_what_is_needed_of_it() {
    let (shop, server) = (Workshop::new(), Server::start(tiny()));
    // Nothing of it is known before, and `check` asks nobody.
    let (code, said) = shop.obertc(&["check", "r.obert"], &[("HF_ENDPOINT", &server.address)]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(server.hub.lock().unwrap().requests, 0);
    let (code, said) = shop.run(&server, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("fetching model.safetensors of org/tiny"), "{said}");
    assert_eq!(server.fetched(), ["config.json", "model.safetensors", "vocab.txt"]);
    let before = server.hub.lock().unwrap().requests;
    // From the cache: no request, offline or not, by flag, as a teacher and to be measured.
    shop.recipe("bert-tiny", "  distill from teacher { hardness: 0.5, temperature: 2.0 }\n");
    let (code, said) = shop.run(&server, &["--model", "org/tiny", "--teacher", "org/tiny", "--offline"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) =
        shop.obertc(&["eval", "org/tiny", "--data", "data"], &[("HF_ENDPOINT", &server.address)]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = shop.obertc(&["params", "--model", "org/tiny", "cls.**"], &[]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = shop.obertc(&["check", "r.obert", "--model", "org/tiny"], &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(server.hub.lock().unwrap().requests, before);
}

#[test]
fn a_cache_elsewhere_is_honoured() {
    let (shop, server) = (Workshop::new(), Server::start(tiny()));
    let cache = shop.path("elsewhere");
    let environment = [("HF_ENDPOINT", server.address.as_str()), ("HF_HUB_CACHE", cache.to_str().unwrap())];
    let (code, said) = shop.obertc(&["run", "r.obert", "--data", "data", "-q"], &environment);
    assert_eq!(code, Some(0), "{said}");
    let snapshot = cache.join("models--org--tiny/snapshots").join(COMMIT);
    assert!(snapshot.join("model.safetensors").exists());
    assert!(!shop.path("home/hub").exists());
}

#[test]
fn parts_of_a_model_are_found_through_their_index() {
    let mut hub = tiny();
    let weights = hub.files.remove("model.safetensors").unwrap();
    hub.files.insert("model-00001-of-00001.safetensors".to_owned(), weights);
    let index = r#"{"metadata": {}, "weight_map": {"bert.x": "model-00001-of-00001.safetensors"}}"#;
    hub.files.insert("model.safetensors.index.json".to_owned(), index.into());
    let (shop, server) = (Workshop::new(), Server::start(hub));
    let (code, said) = shop.run(&server, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(server.fetched().contains(&"model-00001-of-00001.safetensors".to_owned()));
    server.change(|hub| drop(hub.files.remove("model-00001-of-00001.safetensors")));
    let shop = Workshop::new();
    shop.fails(&server, &[], "OB0970", "holds no model-00001-of-00001.safetensors");
}

#[test]
fn what_the_hub_says_no_with_is_told_apart() {
    let (shop, server) = (Workshop::new(), Server::start(tiny()));
    server.change(|hub| hub.token = Some("hf_secret"));
    shop.fails(&server, &[], "OB0971", "without permission (status 401)");
    let environment = [("HF_ENDPOINT", server.address.as_str()), ("HF_TOKEN", "hf_secret")];
    let (code, said) = shop.obertc(&["run", "r.obert", "--data", "data", "-q"], &environment);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("hf_secret"), "a token is never shown");

    let shop = Workshop::new();
    server.change(|hub| (hub.token, hub.status) = (None, Some(403)));
    shop.fails(&server, &[], "OB0971", "status 403");
    server.change(|hub| hub.status = Some(500));
    shop.fails(&server, &[], "OB0973", "answers status 500");
    server.change(|hub| hub.status = None);
    shop.recipe("org/unknown", "");
    shop.fails(&server, &[], "OB0970", "has no `org/unknown`");
    shop.fails(&server, &[], "OB0970", "this model");
    shop.fails(&server, &["--model", "./org/unknown"], "OB0901", "does not exist");
    shop.recipe("org/tiny", "");
    server.change(|hub| drop(hub.files.remove("model.safetensors")));
    // A pickle is taken where there is nothing better, and read with care.
    shop.fails(&server, &[], "OB0902", "no archive as PyTorch writes it");
    assert!(server.fetched().contains(&"pytorch_model.bin".to_owned()));
}

#[test]
fn without_a_network_it_is_said_why_it_was_wanted() {
    let shop = Workshop::new();
    // Nobody listens on a port that was just given back.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = Server { address: format!("http://127.0.0.1:{port}"), hub: Arc::default() };
    shop.fails(&nobody, &[], "OB0973", "cannot be asked for `org/tiny`");
    shop.fails(&nobody, &["--offline"], "OB0972", "not on this machine, and `--offline` forbids the network");
    let environment = [("HF_ENDPOINT", nobody.address.as_str()), ("HF_HUB_OFFLINE", "1")];
    let (code, said) = shop.obertc(&["run", "r.obert", "--data", "data"], &environment);
    assert_eq!(code, Some(1));
    assert!(said.contains("`HF_HUB_OFFLINE` forbids the network"), "{said}");
    let (code, said) = shop.obertc(&["check", "r.obert", "--model", "org/other"], &environment);
    assert_eq!(code, Some(1));
    assert!(said.contains("OB0972") && said.contains("never use the network"), "{said}");
    // A cache that holds a part of the model.
    let snapshot = shop.path("home/hub/models--org--tiny/snapshots").join(COMMIT);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(shop.path("home/hub/models--org--tiny/refs")).unwrap();
    std::fs::write(shop.path("home/hub/models--org--tiny/refs/main"), COMMIT).unwrap();
    std::fs::copy(golden("heads/masked_lm/config.json"), snapshot.join("config.json")).unwrap();
    shop.fails(&nobody, &["--offline"], "OB0972", "holds `org/tiny` without model.safetensors");
    // Its configuration is enough to know the names.
    shop.recipe("org/tiny", "  prune params(\"bert.**.dense.weight\") { by: magnitude, sparsity: 50% }\n");
    let (code, said) = shop.obertc(&["check", "r.obert"], &environment);
    assert_eq!(code, Some(0), "{said}");
    shop.recipe("org/tiny", "  prune params(\"bert.**.tense.weight\") { by: magnitude, sparsity: 50% }\n");
    let (code, said) = shop.obertc(&["check", "r.obert"], &environment);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_download_that_breaks_off_is_no_model_and_goes_on_the_next_time() {
    let (shop, server) = (Workshop::new(), Server::start(tiny()));
    server.change(|hub| hub.broken = Some("vocab.txt"));
    shop.fails(&server, &[], "OB0974", "vocab.txt of `org/tiny` was not fetched to its end");
    server.change(|hub| hub.broken = None);
    let (code, said) = shop.run(&server, &[]);
    assert_eq!(code, Some(0), "{said}");
    let snapshot = shop.path("home/hub/models--org--tiny/snapshots").join(COMMIT);
    let fetched = std::fs::read(snapshot.join("vocab.txt")).unwrap();
    assert_eq!(fetched, std::fs::read(golden("heads/masked_lm/vocab.txt")).unwrap());
}

#[test]
fn mistakes_of_a_recipe_are_found_before_anything_is_fetched() {
    let (shop, server) = (Workshop::new(), Server::start(tiny()));
    shop.recipe("org/tiny", "  lr { 1..2 epochs: 1e-4 }\n");
    let (code, said) = shop.run(&server, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(server.hub.lock().unwrap().requests, 0, "{said}");
    // So is a folder of data that is not there.
    shop.recipe("org/tiny", "");
    let (code, said) =
        shop.obertc(&["run", "r.obert", "--data", "nowhere"], &[("HF_ENDPOINT", &server.address)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("OB0907"), "{said}");
    assert_eq!(server.hub.lock().unwrap().requests, 0, "{said}");
    // What only the model's names show is found before the first step.
    shop.recipe("org/tiny", "  prune params(\"bert.**.tense.weight\") { by: magnitude, sparsity: 50% }\n");
    let (code, said) = shop.run(&server, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("matches none"), "{said}");
}

/// Puts a recorded model into the cache of a home folder, as a copy of a revision without `refs/main`.
fn cached(shop: &Workshop, name: &str, from: &str) {
    let snapshot = shop.path(&format!("me/hf/hub/models--{}/snapshots/{COMMIT}", name.replace('/', "--")));
    std::fs::create_dir_all(&snapshot).unwrap();
    for entry in std::fs::read_dir(golden(from)).unwrap().flatten() {
        std::fs::copy(entry.path(), snapshot.join(entry.file_name())).unwrap();
    }
}

#[test]
fn every_command_finds_a_model_by_the_same_name() {
    let shop = Workshop::new();
    cached(&shop, "org/words", "heads/masked_lm");
    cached(&shop, "org/labels", "heads/classifier");
    let me = shop.path("me");
    let environment = [("HF_HOME", "~/hf"), ("HOME", me.to_str().unwrap()), ("HF_HUB_OFFLINE", "1")];
    shop.recipe(
        "bert-tiny",
        "  prune params(\"bert.encoder.**.dense.weight\") { by: obs(gradients: 2), sparsity: 50% }\n",
    );
    let words = ["--model", "org/words", "--data", "data"];
    for (before, after) in [
        (&["run", "r.obert", "-q", "--out", "out"][..], &words[..]),
        (&["oneshot", "r.obert", "--at", "50%", "--by", "magnitude"], &words),
        (&["sweep", "r.obert", "--at", "50%", "--grid", "damp=1e-6,1e-7"], &words),
        (&["check", "r.obert"], &words[..2]),
        (&["plan", "r.obert", "--steps-per-epoch", "4"], &words[..2]),
        (&["params"], &words[..2]),
        (&["eval", "org/words", "--max-seq-len", "8"], &words[2..]),
        (&["predict", "org/labels", "--offline"], &[]),
        (&["pack", "org/labels", "--as", "engine", "--out", "packed"], &[]),
        (&["bench", "org/labels", "--seconds", "0.01", "--seq", "8", "--threads", "1"], &[]),
    ] {
        let (code, said) = shop.obertc(&[before, after].concat(), &environment);
        assert_eq!(code, Some(0), "{before:?}: {said}");
    }
    // Without a name for the file, it is called like the model, not like the revision.
    let (code, said) = shop.obertc(&["pack", "org/labels", "--as", "engine"], &environment);
    assert_eq!(code, Some(0), "{said}");
    assert!(shop.path("labels.obert-engine").exists(), "{said}");
    for command in ["predict", "bench", "pack"] {
        let format: &[&str] = if command == "pack" { &["--as", "engine"] } else { &[] };
        let (code, said) = shop.obertc(&[&[command, "org/none"][..], format].concat(), &environment);
        assert!(code == Some(1) && said.contains("OB0972"), "{said}");
    }
}

#[test]
fn a_recipe_from_standard_input_is_read_once_where_its_model_is_fetched() {
    let (shop, server) = (Workshop::new(), Server::start(tiny()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_obertc"));
    command.args(["run", "-", "--data", "data", "--out", "out", "-q"]).current_dir(shop.folder.path());
    command.env("HF_HOME", shop.path("home")).env("HF_ENDPOINT", &server.address).env_remove("HF_HUB_CACHE");
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let recipe = std::fs::read(shop.path("r.obert")).unwrap();
    child.stdin.take().unwrap().write_all(&recipe).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
