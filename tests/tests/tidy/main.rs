//! The walls of the house: who may name whom, how long a file may grow, what stands at the top.

mod source;
mod threats;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item};

/// Each package with those of ours that it may name (ARCHITECTURE.md draws the same picture).
const ARROWS: [(&str, &[&str]); 5] = [
    ("sip", &[]),
    ("dialplans", &[]),
    ("config", &["sip", "dialplans"]),
    ("daemon", &["sip", "dialplans", "config"]),
    ("tests", &["sip", "dialplans", "config", "daemon"]),
];

/// Packages that would bring a runtime, a socket or ambient randomness into a pure room.
const IMPURE_PACKAGES: [&str; 12] = [
    "tokio",
    "tokio-util",
    "mio",
    "socket2",
    "hyper",
    "axum",
    "sqlx",
    "getrandom",
    "rand",
    "tracing",
    "metrics",
    "hickory-resolver",
];

/// What no pure room says.
const IMPURE_WORDS: [&str; 22] = [
    "tokio",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixDatagram",
    "ToSocketAddrs",
    "Instant::now",
    "SystemTime",
    "std::fs",
    "fs::File",
    "std::env",
    "env::var",
    "std::thread",
    "thread_local",
    "std::process",
    "std::io",
    "Mutex",
    "RwLock",
    "OsRng",
    "SysRng",
    "thread_rng",
];

/// Files that text may stay in: the longest that one of them may be.
const FILE_LIMIT: usize = 600;
/// From here on a file is reported, so that its split is planned before the limit is met.
const FILE_REPORT: usize = 400;
/// The lines of a function from `fn` to its closing brace.
const FUNCTION_LIMIT: usize = 70;
const README_LIMIT: usize = 150;

/// The visible entries of the project's top.
const TOP_LEVEL: [&str; 14] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONVENTIONS.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "config",
    "daemon",
    "dialplans",
    "sip",
    "systemd",
    "tests",
];

/// Unit tests of a pure room in a file of their own that begin at some instant.
const ORIGIN_OF_TIME: &str = "sip/src/call/machine/tests.rs";

#[test]
fn manifests_draw_only_the_arrows_of_the_architecture() {
    for (package, allowed) in ARROWS {
        let (ours, _) = dependencies(package);
        let strangers: Vec<_> = ours.iter().filter(|d| !allowed.contains(&d.as_str())).collect();
        assert!(strangers.is_empty(), "{package} may name {allowed:?}, it names {strangers:?}");
    }
}

#[test]
fn pure_rooms_depend_on_no_runtime_socket_or_ambient_randomness() {
    for package in ["sip", "dialplans", "config"] {
        let (_, others) = dependencies(package);
        let impure: Vec<_> =
            others.iter().filter(|d| IMPURE_PACKAGES.contains(&d.as_str())).collect();
        assert!(impure.is_empty(), "{package} is pure, it depends on {impure:?}");
    }
}

#[test]
fn pure_rooms_name_no_clock_socket_file_or_lock() {
    let mut faults = Vec::new();
    for package in ["sip", "dialplans", "config"] {
        let files = rust_files(&root().join(package).join("src"));
        assert!(!files.is_empty(), "{package} has no source");
        // This one file of unit tests holds an origin of virtual time, as a module of them may.
        let with_origin = root().join(ORIGIN_OF_TIME);
        assert!(with_origin.exists(), "{ORIGIN_OF_TIME} has gone");
        for file in files.into_iter().filter(|file| *file != with_origin) {
            let code = source::without_tests(&source::blank(&read(&file)));
            let said = IMPURE_WORDS.iter().filter(|word| source::names(&code, word));
            faults.extend(said.map(|word| format!("{}: {word}", shown(&file))));
        }
    }
    assert!(faults.is_empty(), "pure rooms say:\n{}", faults.join("\n"));
}

#[test]
fn every_package_keeps_the_lints_of_the_workspace() {
    let workspace = manifest("");
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for (package, _) in ARROWS {
        let lints = &manifest(package)["lints"]["workspace"];
        assert_eq!(lints.as_bool(), Some(true), "{package}/Cargo.toml does not take the lints");
    }
}

#[test]
fn the_lint_files_of_pure_rooms_repeat_the_root_ones() {
    let settings = read(&root().join(".clippy.toml"));
    let settings: Vec<_> = settings.lines().filter(|l| l.contains(" = ")).collect();
    assert!(!settings.is_empty());
    for package in ["sip", "dialplans"] {
        let own = read(&root().join(package).join(".clippy.toml"));
        for line in &settings {
            assert!(own.lines().any(|l| l == *line), "{package}/.clippy.toml lacks {line:?}");
        }
        for word in ["Instant::now", "SystemTime::now", "HashMap", "Mutex", "UdpSocket"] {
            assert!(own.contains(word), "{package}/.clippy.toml does not ban {word}");
        }
    }
}

#[test]
fn code_says_neither_unsafe_nor_allow() {
    let mut faults = Vec::new();
    for file in all_rust_files() {
        let code = source::blank(&read(&file));
        if source::names(&code, "unsafe") {
            faults.push(format!("{}: unsafe", shown(&file)));
        }
        if code.contains("#[allow(") || code.contains("#![allow(") {
            faults.push(format!("{}: #[allow], say #[expect] with a reason", shown(&file)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_module_is_a_file_beside_its_folder_and_never_mod_rs() {
    let faults: Vec<_> = all_rust_files().into_iter().filter(|f| f.ends_with("mod.rs")).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn files_and_functions_fit_their_limits() {
    let (mut faults, mut long) = (Vec::new(), Vec::new());
    for file in all_rust_files() {
        let text = read(&file);
        let lines = text.lines().count();
        if lines > FILE_LIMIT {
            faults.push(format!("{}: {lines} lines, {FILE_LIMIT} at most", shown(&file)));
        } else if lines > FILE_REPORT {
            long.push(format!("{lines} {}", shown(&file)));
        }
        for function in source::functions(&source::blank(&text)) {
            if function.lines() > FUNCTION_LIMIT {
                let place = format!("{}:{}", shown(&file), function.first_line);
                faults.push(format!(
                    "{place}: fn {} has {} lines",
                    function.name,
                    function.lines()
                ));
            }
        }
    }
    long.sort();
    println!("files over {FILE_REPORT} lines: {long:#?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_readme_is_short() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines < README_LIMIT, "README.md has {lines} lines, under {README_LIMIT} are read");
}

#[test]
fn the_top_level_holds_only_what_the_architecture_names() {
    let strangers: Vec<_> = entries(&root())
        .into_iter()
        .map(|path| path.file_name().expect("an entry has a name").to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert!(strangers.is_empty(), "not named by ARCHITECTURE.md: {strangers:?}");
}

#[test]
fn every_dependency_comes_from_the_public_index() {
    let lock = read(&root().join("Cargo.lock"));
    let sources: BTreeSet<_> = lock.lines().filter(|line| line.starts_with("source = ")).collect();
    let [index, kind] = ["crates.io-index", "registry"];
    let public = format!("source = \"{kind}+https://github.com/rust-lang/{index}\"");
    assert_eq!(sources, BTreeSet::from([public.as_str()]));
}

#[test]
fn no_file_holds_a_path_of_a_machine_or_the_host_of_a_registry() {
    // Put together here, so that this file does not hold what it looks for.
    let forbidden: Vec<String> = [
        ("/ho", "me/"),
        ("/ro", "ot/"),
        ("/Us", "ers/"),
        ("/wo", "rk/"),
        ("C:", "\\Users"),
        ("registry", "+"),
        ("sparse", "+http"),
        ("crates.i", "o/"),
        ("index.crat", "es"),
    ]
    .map(|(left, right)| format!("{left}{right}"))
    .to_vec();
    let (mut faults, mut seen) = (Vec::new(), 0);
    for file in text_files(&root()) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        seen += 1;
        if file.ends_with("Cargo.lock") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let found = forbidden.iter().filter(|word| line.contains(word.as_str()));
            faults.extend(found.map(|w| format!("{}:{}: {w}", shown(&file), number + 1)));
        }
    }
    assert!(seen > 20, "only {seen} files were read");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The dependencies of a package of every kind: those of ours by folder, and the others by name.
fn dependencies(package: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let folders: BTreeMap<String, String> = ARROWS
        .iter()
        .map(|(folder, _)| {
            let name = manifest(folder)["package"]["name"].as_str().map(str::to_owned);
            (name.expect("a package has a name"), (*folder).to_owned())
        })
        .collect();
    let own = manifest(package);
    let (mut ours, mut others) = (BTreeSet::new(), BTreeSet::new());
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(table) = own.get(table).and_then(Item::as_table_like) else { continue };
        for (name, _) in table.iter() {
            let is_folder = ARROWS.iter().any(|(folder, _)| *folder == name);
            match folders.get(name) {
                Some(folder) => ours.insert(folder.clone()),
                None if is_folder => ours.insert(name.to_owned()),
                None => others.insert(name.to_owned()),
            };
        }
    }
    assert!(
        own.get("target").is_none(),
        "{package}: dependencies of one target hide from this test"
    );
    (ours, others)
}

fn manifest(package: &str) -> DocumentMut {
    let path = root().join(package).join("Cargo.toml");
    read(&path).parse().unwrap_or_else(|fault| panic!("{}: {fault}", shown(&path)))
}

fn all_rust_files() -> Vec<PathBuf> {
    let files: Vec<_> = ARROWS.iter().flat_map(|(p, _)| rust_files(&root().join(p))).collect();
    assert!(files.len() > 10, "only {} source files were found", files.len());
    files
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    text_files(folder).into_iter().filter(|f| f.extension().is_some_and(|e| e == "rs")).collect()
}

/// Every file below `folder`, but for what is built or belongs to version control.
fn text_files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                let skipped = path.ends_with("target") || path.ends_with(".git");
                folders.extend((!skipped).then_some(path));
            } else if !path.ends_with(".git") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()));
    read.map(|entry| entry.expect("the folder stays readable").path()).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", shown(path)))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests is a folder of the project")
        .to_owned()
}
