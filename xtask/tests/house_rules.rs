//! The house rules: what the compiler and its lints do not check.
//!
//! Each rule is a function from text to violations, tested on text that breaks it, and then applied to every
//! file of the repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Our crates, each with those of ours that it may depend on. `xtask` depends on none.
const ARROWS: [(&str, &[&str]); 6] = [
    ("cfconv-fft", &[]),
    ("cfconv-mlp", &["cfconv-fft"]),
    ("cfconv-core", &["cfconv-fft", "cfconv-mlp"]),
    // Reads images and nothing else: it compiles beside the three crates above.
    ("cfconv-data", &[]),
    ("cfconv-train", &["cfconv-fft", "cfconv-mlp", "cfconv-core", "cfconv-data"]),
    ("cfconv-bench", &["cfconv-fft", "cfconv-mlp", "cfconv-core", "cfconv-train"]),
];

/// Longest source file.
const MAX_LINES: usize = 800;

/// Longest line of a comment, in characters; rustfmt wraps code, but not comments.
const MAX_COMMENT_COLUMNS: usize = 120;

/// Most dependencies that may stand under one comment in the workspace manifest.
const MAX_UNDER_ONE_COMMENT: usize = 3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Text files of the repository with their contents: those that git tracks, or all outside build folders where
/// there is no git.
fn files() -> Vec<(PathBuf, String)> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let paths = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
            names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect()
        }
        _ => {
            let mut paths = Vec::new();
            walk(&root(), Path::new(""), &mut paths);
            paths
        }
    };
    let files: Vec<_> = paths
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(root().join(&path)).ok().map(|text| (path, text)))
        .collect();
    assert!(files.len() > 20, "only {} files found: the rules would check nothing", files.len());
    files
}

fn walk(root: &Path, folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" && entry.file_name() != ".git" {
                walk(root, &path, paths);
            }
        } else {
            paths.push(path);
        }
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Applies `rule` to each file that `wanted` picks and fails with all violations at once.
fn check(wanted: impl Fn(&Path) -> bool, rule: impl Fn(&str) -> Vec<String>) {
    let mut violations = Vec::new();
    let mut checked = 0;
    for (path, text) in files() {
        if wanted(&path) {
            checked += 1;
            violations.extend(rule(&text).into_iter().map(|text| format!("{}: {text}", path.display())));
        }
    }
    assert!(checked > 0, "the rule applies to no file");
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

fn manifest(path: &Path) -> toml::Table {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of all dependencies of a manifest, of every kind and target, with the table of each.
fn dependencies(manifest: &toml::Table) -> Vec<(String, toml::Value)> {
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    tables
        .into_iter()
        .flat_map(|table| {
            ["dependencies", "dev-dependencies", "build-dependencies"].map(|kind| table.get(kind))
        })
        .flatten()
        .filter_map(toml::Value::as_table)
        .flat_map(|table| table.iter().map(|(name, value)| (name.clone(), value.clone())))
        .collect()
}

fn members() -> Vec<String> {
    let workspace = manifest(Path::new("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| member.as_str().unwrap().to_owned()).collect()
}

/// Crates of ours that `crate_name` must not depend on, among its `dependencies`.
fn forbidden_arrows(crate_name: &str, dependencies: &[String]) -> Vec<String> {
    let allowed = ARROWS.iter().find(|(name, _)| *name == crate_name).map_or(&[][..], |(_, allowed)| allowed);
    dependencies
        .iter()
        .filter(|name| name.starts_with("cfconv") || *name == "xtask")
        .filter(|name| !allowed.contains(&name.as_str()))
        .map(|name| format!("{crate_name} depends on {name}"))
        .collect()
}

#[test]
fn arrows_between_crates_never_turn_back() {
    let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(forbidden_arrows("cfconv-mlp", &names(&["cfconv-fft", "rand"])), [""; 0]);
    assert_eq!(
        forbidden_arrows("cfconv-mlp", &names(&["cfconv-core"])),
        ["cfconv-mlp depends on cfconv-core"]
    );
    assert_eq!(
        forbidden_arrows("cfconv-data", &names(&["cfconv-fft"])),
        ["cfconv-data depends on cfconv-fft"]
    );
    assert_eq!(forbidden_arrows("xtask", &names(&["cfconv-fft"])), ["xtask depends on cfconv-fft"]);

    let members = members();
    for expected in ARROWS.map(|(name, _)| name).into_iter().chain(["xtask"]) {
        assert!(
            members.iter().any(|member| member == expected),
            "{expected} is not a member of the workspace"
        );
    }
    let violations: Vec<_> = members
        .iter()
        .flat_map(|member| {
            let manifest = manifest(&Path::new(member).join("Cargo.toml"));
            let names: Vec<_> = dependencies(&manifest).into_iter().map(|(name, _)| name).collect();
            forbidden_arrows(member, &names)
        })
        .collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn members_share_versions_and_lints() {
    for member in members() {
        let manifest = manifest(&Path::new(&member).join("Cargo.toml"));
        let inherits =
            |value: &toml::Value| value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        assert!(manifest.get("lints").is_some_and(inherits), "{member} does not inherit the lints");
        for (name, value) in dependencies(&manifest) {
            assert!(inherits(&value), "{member}: {name} does not take its version from the workspace");
        }
    }
}

/// Dependencies of a workspace manifest that no comment explains.
fn unexplained_dependencies(manifest: &str) -> Vec<String> {
    let table = manifest.lines().skip_while(|line| line.trim() != "[workspace.dependencies]").skip(1);
    let mut violations = Vec::new();
    let mut under_comment = MAX_UNDER_ONE_COMMENT;
    for line in table.take_while(|line| !line.starts_with('[')) {
        if line.starts_with('#') {
            under_comment = 0;
        } else if line.trim().is_empty() {
            under_comment = MAX_UNDER_ONE_COMMENT;
        } else if let Some((name, value)) = line.split_once('=')
            && !value.contains("path =")
        {
            under_comment += 1;
            if under_comment > MAX_UNDER_ONE_COMMENT {
                violations.push(format!("no comment says what {} is for", name.trim()));
            }
        }
    }
    violations
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let text = "[workspace.dependencies]\na = \"1\"\n# For b.\nb = \"1\"\nc = { path = \"c\" }\n\nd = \"1\"\n[x]\ne = 1";
    assert_eq!(
        unexplained_dependencies(text),
        ["no comment says what a is for", "no comment says what d is for"]
    );
    check(|path| path == Path::new("Cargo.toml"), unexplained_dependencies);
}

/// What in a crate's `lib.rs` is neither documentation nor a module nor a re-export.
fn more_than_a_crate_page(lib: &str) -> Vec<String> {
    let code: String = lib
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"))
        .filter(|line| !line.starts_with('#') || !line.ends_with(']'))
        .collect::<Vec<_>>()
        .join("\n");
    code.split_inclusive(';')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .filter(|item| {
            let body = item.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let module = body.starts_with("mod ") && body.ends_with(';') && !body.contains('{');
            let export = item.starts_with("pub use ") && item.ends_with(';');
            !(module || export)
        })
        .map(|item| {
            format!("lib.rs holds more than docs, modules and re-exports: {}", item.lines().next().unwrap())
        })
        .collect()
}

#[test]
fn lib_files_are_crate_pages() {
    let good =
        "//! Page.\n#![warn(x)]\n#[cfg(test)]\nmod a;\npub mod b;\npub use b::{\n    C, // why\n    D,\n};\n";
    assert_eq!(more_than_a_crate_page(good), [""; 0]);
    assert_eq!(more_than_a_crate_page("mod a;\nfn f() {}\n").len(), 1);
    assert_eq!(more_than_a_crate_page("mod a { const B: u8 = 1; }").len(), 2);
    check(|path| path.ends_with("src/lib.rs"), more_than_a_crate_page);
}

/// Code that was left for later.
fn unfinished_code(source: &str) -> Vec<String> {
    let words =
        [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("XX", "X:")];
    let mut violations = Vec::new();
    for (index, line) in source.lines().enumerate() {
        for word in words {
            if line.contains(word) {
                violations.push(format!("line {}: {word}", index + 1));
            }
        }
    }
    violations
}

#[test]
fn nothing_is_left_for_later() {
    assert_eq!(unfinished_code(concat!("fn f() {\n    todo", "!()\n}")).len(), 1);
    check(|path| has_extension(path, "rs"), unfinished_code);
}

/// Examples in documentation that are not compiled.
fn ignored_examples(source: &str) -> Vec<String> {
    source
        .lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let line = line.trim_start().trim_start_matches("//!").trim_start_matches("///").trim_start();
            let info = line.strip_prefix("```")?;
            let ignored =
                info.split(',').any(|word| word.trim() == "ignore" || word.trim().starts_with("ignore-"));
            ignored.then(|| format!("line {}: an example that is not compiled", index + 1))
        })
        .collect()
}

#[test]
fn every_example_is_compiled() {
    assert_eq!(ignored_examples("/// ```\n//! ```rust,ignore\n```ignore\n```sh\n").len(), 2);
    check(|path| has_extension(path, "rs") || has_extension(path, "md"), ignored_examples);
}

fn too_long(source: &str) -> Vec<String> {
    let lines = source.lines().count();
    (lines > MAX_LINES)
        .then(|| format!("{lines} lines, more than {MAX_LINES}: two ideas?"))
        .into_iter()
        .collect()
}

#[test]
fn source_files_hold_one_idea() {
    assert_eq!(too_long(&"\n".repeat(MAX_LINES)), [""; 0]);
    assert_eq!(too_long(&"\n".repeat(MAX_LINES + 1)).len(), 1);
    check(|path| has_extension(path, "rs"), too_long);
}

/// Lines of comments that are too long to read, and code that was taken out by making it a comment.
fn bad_comments(source: &str) -> Vec<String> {
    let mut violations = Vec::new();
    for (number, line) in (1..).zip(source.lines()) {
        let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
        let columns = line.chars().count();
        if columns > MAX_COMMENT_COLUMNS {
            violations.push(format!("line {number}: a comment of {columns} columns"));
        }
        let text = comment.trim();
        let is_documentation = comment.starts_with(['/', '!']);
        if !is_documentation && !text.starts_with("SAFETY") && text.ends_with([';', '{', '}']) {
            violations.push(format!("line {number}: code in a comment"));
        }
    }
    violations
}

#[test]
fn comments_are_short_lines_of_prose() {
    assert_eq!(bad_comments(&format!("    //{}", "-".repeat(MAX_COMMENT_COLUMNS - 6))), [""; 0]);
    assert_eq!(bad_comments(&format!("    //{}", "-".repeat(MAX_COMMENT_COLUMNS - 5))).len(), 1);
    assert_eq!(bad_comments("// Why.\n// let x = 1;\n/// f();\nlet y = 2;"), ["line 2: code in a comment"]);
    let source = ["rs", "cu", "cuh", "cpp", "h"];
    check(|path| source.iter().any(|extension| has_extension(path, extension)), bad_comments);
}

/// Folds with `max` or `min` in the code of tests: they leave NaN out, and what is compared with them then passes.
fn folds_that_lose_nan(code: &str) -> Vec<String> {
    let mut violations = Vec::new();
    for word in [concat!("fold", "("), concat!("reduce", "(")] {
        for (at, _) in code.match_indices(word) {
            let mut depth = 0;
            let end = code[at..].find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                c == ')' && depth == 0
            });
            let call = &code[at..at + end.map_or(code.len() - at, |end| end + 1)];
            if ["::max)", "::min)", ".max(", ".min("].iter().any(|lossy| call.contains(lossy)) {
                let line = code[..at].lines().count();
                violations.push(format!("line {line}: a NaN passes {call}): take max_by with total_cmp"));
            }
        }
    }
    violations
}

#[test]
fn comparisons_in_tests_fail_on_nan() {
    assert_eq!(
        folds_that_lose_nan(concat!("let e = x.iter().fold", "(0.0, |a: f64, b| a.max(b.abs()));")).len(),
        1
    );
    assert_eq!(folds_that_lose_nan(concat!("x.reduce", "(f32::max)")).len(), 1);
    assert_eq!(folds_that_lose_nan("x.max_by(f64::total_cmp); y.fold(0, |a, b| a + b).max(3)"), [""; 0]);
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
    check(|path| has_extension(path, "rs") && is_test(path), folds_that_lose_nan);
    // Unit tests are at the end of their file.
    let unit_tests = |source: &str| {
        source.split_once("#[cfg(test)]\nmod tests {").map_or(vec![], |(_, tests)| folds_that_lose_nan(tests))
    };
    check(|path| has_extension(path, "rs") && !is_test(path), unit_tests);
}

fn may_precede_a_path(c: char) -> bool {
    !c.is_alphanumeric() && !"._-/~)}".contains(c)
}

/// Paths that exist on one person's machine only.
fn machine_paths(text: &str) -> Vec<String> {
    let roots = [
        concat!("/", "home/"),
        concat!("/", "root/"),
        concat!("/", "Users/"),
        concat!("/", "work/"),
        concat!("/", "tmp/"),
        concat!("C:", "\\"),
    ];
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for root in roots {
            // Inside a longer path or an address the same letters mean something else.
            let starts_a_path = line
                .match_indices(root)
                .any(|(at, _)| line[..at].chars().next_back().is_none_or(may_precede_a_path));
            if starts_a_path {
                violations.push(format!("line {}: a path of one machine, {root}…", index + 1));
            }
        }
    }
    violations
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    assert_eq!(machine_paths(concat!("open(\"/", "tmp/x\")\nhttps://example.org/", "home/x\n")).len(), 1);
    check(|path| !path.ends_with("Cargo.lock"), machine_paths);
}

/// Targets of the relative links of a Markdown text.
fn relative_links(markdown: &str) -> BTreeSet<String> {
    let mut links = BTreeSet::new();
    for (at, _) in markdown.match_indices("](") {
        let rest = &markdown[at + 2..];
        let link = &rest[..rest.find([')', '\n']).unwrap_or(rest.len())];
        let link = link.split('#').next().unwrap();
        if !link.is_empty() && !link.contains("://") && !link.contains(' ') {
            links.insert(link.to_owned());
        }
    }
    links
}

#[test]
fn links_between_documents_lead_somewhere() {
    let links = relative_links("[a](docs/a.md#b) ![c](c.svg) [d](https://e.org) [f](#g)");
    assert_eq!(links.into_iter().collect::<Vec<_>>(), ["c.svg", "docs/a.md"]);
    for (path, text) in files().into_iter().filter(|(path, _)| has_extension(path, "md")) {
        for link in relative_links(&text) {
            let target = root().join(path.parent().unwrap()).join(&link);
            assert!(target.exists(), "{}: the link to {link} leads nowhere", path.display());
        }
    }
}
