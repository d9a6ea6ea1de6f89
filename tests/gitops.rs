//! `deploy/gitops`: its checks on real repositories, its manifests held against each other, and a ConfigMap that
//! kubelet swaps under a server.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, WORLD, ask_udp, binary, now, says, scratch};
use serde_json::{Map, Value, json};
use yaml_rust2::{Yaml, YamlLoader};

fn gitops() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/gitops")
}

fn text_of(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

//----------- A repository ---------------------------------------------------

const FILE: &str = "meridian/meridian.toml";

/// A repository with a main branch and a branch that is checked out.
struct Repository(PathBuf);

impl Repository {
    /// With this file in the main branch, if any.
    fn new(file: Option<&str>) -> Self {
        let repository = Self(scratch());
        std::fs::create_dir(repository.0.join("meridian")).unwrap();
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        std::fs::write(repository.0.join("README.md"), "names\n").unwrap();
        if let Some(text) = file {
            repository.write(text);
        }
        repository.commit();
        repository.git(&["switch", "--quiet", "--create", "change"]);
        repository
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=ann", "-c", "user.email=ann@example", "-c", "commit.gpgsign=false"]);
        // Nothing of who runs the tests.
        git.args(arguments)
            .current_dir(&self.0)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        let output = git.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text_of(&output.stderr));
    }

    fn write(&self, text: &str) {
        std::fs::write(self.0.join(FILE), text).unwrap();
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a change"]);
    }

    /// Commits a file to the branch, and runs the checks as CI does: exit code, standard output and error.
    fn check(&self, text: &str, environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
        self.write(text);
        self.commit();
        self.run(&["main"], environment)
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let mut command = Command::new(gitops().join("check-pull-request"));
        command.args(arguments).current_dir(self.0.join("meridian")).env("MERIDIAN", binary());
        command.env_remove("MAX_MOVED").envs(environment.iter().copied());
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
        (status.code(), text_of(&stdout), text_of(&stderr))
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // It is in the folder for temporary files.
        let _kept = std::fs::remove_dir_all(&self.0);
    }
}

fn example() -> String {
    std::fs::read_to_string(gitops().join(FILE)).unwrap()
}

/// The example, whose gateway has no endpoint in the USA.
fn without_the_last_cluster() -> String {
    let mut text = example();
    text.truncate(text.rfind("[[gateways.endpoints]]").unwrap());
    text
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replace(from, to)
}

//----------- Pull requests --------------------------------------------------

#[test]
fn a_good_change_passes() {
    let repository = Repository::new(Some(&example()));
    let changed = replaced(&example(), "interval = \"2s\"", "interval = \"1s\"");
    let (code, out, err) = repository.check(&changed, &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let steps = ["== check meridian/meridian.toml\n", "== prove meridian/meridian.toml\n", "== diff "];
    let places: Vec<usize> =
        steps.iter().map(|step| out.find(step).unwrap_or_else(|| panic!("{step}: {out}"))).collect();
    assert!(places.is_sorted(), "{out}");
    assert!(out.contains(": ok (1 zones, 1 gateways, 3 clusters, 3 targets to probe)\n"), "{out}");
    assert!(out.contains("EU clients of shop: only eu-west, eu-central\n"), "{out}");
    assert!(out.contains("and this branch, at most 5 % may move\n"), "{out}");
    assert!(out.contains("nothing moves of 1 hostname\n"), "{out}");
}

#[test]
fn a_file_that_cannot_be_served_ends_it() {
    let repository = Repository::new(Some(&example()));
    let (code, out, err) = repository.check(&replaced(&example(), "probe = \"web\"", "probe = \"wbe\""), &[]);
    assert_eq!((code, out.as_str()), (Some(64), "== check meridian/meridian.toml\n"));
    assert!(err.starts_with("meridian/meridian.toml:"), "{err}");
    assert!(
        err.contains("gateways[0].probe: expected the name of a probe (web), found \"wbe\"; did you mean"),
        "{err}"
    );
}

#[test]
fn a_change_that_moves_too_much_is_over_the_limit() {
    let repository = Repository::new(Some(&example()));
    // Without the cluster in the USA its clients go to Europe.
    let (code, out, err) = repository.check(&without_the_last_cluster(), &[]);
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(out.contains("us-east") && out.contains("eu-west"), "{out}");
    assert!(err.contains("% moves, over --max-moved 5\n"), "{err}");
    // Who says that it may be so.
    let (code, out, err) = repository.run(&["main"], &[("MAX_MOVED", "100")]);
    assert_eq!((code, err.contains("over --max-moved")), (Some(0), false), "{out}{err}");
    assert!(out.contains("at most 100 % may move\n"), "{out}");
}

#[test]
fn a_change_that_breaks_residency_is_refused() {
    let repository = Repository::new(Some(&example()));
    let changed = replaced(&example(), "unknown = \"EU\"", "unknown = \"EU\"\nconflict = \"resolver\"");
    let (code, out, err) = repository.check(&changed, &[("MAX_MOVED", "100")]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.contains("BROKEN rule 1 of shop: ") && out.contains("could be answered with us-east\n"),
        "{out}"
    );
    // What else is to be said is said as well.
    assert!(out.contains("== diff "), "{out}");
}

#[test]
fn what_cannot_be_compared_is_no_obstacle() {
    let new = Repository::new(None);
    let (code, out, _) = new.check(&example(), &[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("meridian/meridian.toml is new: nothing to compare it with\n"), "{out}");
    let broken = Repository::new(Some("version = 2\n"));
    let (code, out, _) = broken.check(&example(), &[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("cannot be served as it was: nothing to compare it with\n"), "{out}");
}

/// What the main branch did meanwhile is none of the change.
#[test]
fn the_comparison_is_with_the_last_commit_in_common() {
    let repository = Repository::new(Some(&example()));
    repository.git(&["switch", "--quiet", "main"]);
    repository.write(&without_the_last_cluster());
    repository.commit();
    repository.git(&["switch", "--quiet", "change"]);
    let (code, out, err) =
        repository.check(&replaced(&example(), "interval = \"2s\"", "interval = \"1s\""), &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("nothing moves of 1 hostname\n"), "{out}");
}

#[test]
fn what_was_not_asked_rightly_says_so() {
    let repository = Repository::new(Some(&example()));
    for (arguments, why) in [
        (&[][..], "expected BASE"),
        (&["main", "nowhere.toml"], "nowhere.toml: no such file"),
        (&["elsewhere"], "elsewhere and this branch have no commit in common"),
    ] {
        let (code, out, err) = repository.run(arguments, &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains(why) && err.contains("usage: check-pull-request BASE [FILE]\n"), "{err}");
    }
}

//----------- Manifests ------------------------------------------------------

/// The documents of a file.
fn yaml(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(gitops().join(path)).unwrap();
    let documents = YamlLoader::load_from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    documents.iter().map(to_json).collect()
}

fn to_json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => json!(text),
        Yaml::Integer(number) => json!(number),
        Yaml::Boolean(value) => json!(value),
        Yaml::Array(list) => list.iter().map(to_json).collect(),
        Yaml::Hash(table) => {
            let pair =
                |(key, value): (&Yaml, &Yaml)| (key.as_str().expect("a text").to_owned(), to_json(value));
            table.iter().map(pair).collect::<Map<_, _>>().into()
        }
        Yaml::Null => Value::Null,
        other => panic!("{other:?}"),
    }
}

/// The one document of a file, which is of this kind.
fn manifest(path: &str, api: &str, kind: &str) -> Value {
    let [one] = yaml(path).try_into().unwrap_or_else(|all| panic!("{path}: {all:?}"));
    assert_eq!((&one["apiVersion"], &one["kind"]), (&json!(api), &json!(kind)), "{path}");
    one
}

#[test]
fn the_manifests_fit_each_other() {
    let kustomization =
        manifest("meridian/kustomization.yaml", "kustomize.config.k8s.io/v1beta1", "Kustomization");
    let namespace = manifest("meridian/namespace.yaml", "v1", "Namespace");
    let servers = manifest("meridian/statefulset.yaml", "apps/v1", "StatefulSet");
    let service = manifest("meridian/service.yaml", "v1", "Service");
    assert_eq!(kustomization["resources"], json!(["namespace.yaml", "statefulset.yaml", "service.yaml"]));
    let name = &namespace["metadata"]["name"];
    for of in
        [&kustomization["namespace"], &servers["metadata"]["namespace"], &service["metadata"]["namespace"]]
    {
        assert_eq!(of, name);
    }
    // The ConfigMap keeps its name, so that its change is one of the file in pods that run.
    assert_eq!(kustomization["generatorOptions"]["disableNameSuffixHash"], true);
    let map = &kustomization["configMapGenerator"][0];
    assert_eq!(map["files"], json!(["meridian.toml"]));
    let pod = &servers["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][0]["configMap"]["name"], map["name"]);
    let container = &pod["containers"][0];
    let [configuration, data] = container["volumeMounts"].as_array().unwrap().as_slice() else {
        panic!("two mounts")
    };
    assert_eq!(
        (&configuration["name"], &configuration["subPath"]),
        (&pod["volumes"][0]["name"], &Value::Null)
    );
    assert_eq!(data["name"], servers["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]);
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let file = format!("{}/meridian.toml", configuration["mountPath"].as_str().unwrap());
    assert_eq!(arguments, ["serve", "--log-format", "json", "--config", &file]);
    assert!(container["readinessProbe"]["exec"]["command"].as_array().unwrap().contains(&data["mountPath"]));
    // One selector, one name for each port.
    let labels = &servers["spec"]["template"]["metadata"]["labels"];
    assert_eq!((&servers["spec"]["selector"]["matchLabels"], &service["spec"]["selector"]), (labels, labels));
    assert_eq!(servers["spec"]["serviceName"], service["metadata"]["name"]);
    for (of_pod, of_service) in
        container["ports"].as_array().unwrap().iter().zip(service["spec"]["ports"].as_array().unwrap())
    {
        assert_eq!(
            (&of_pod["name"], &of_pod["protocol"]),
            (&of_service["targetPort"], &of_service["protocol"])
        );
        assert_eq!((&of_pod["containerPort"], &of_service["port"]), (&json!(5300), &json!(53)));
    }
    let written = meridian_config::load(&gitops().join(FILE)).unwrap().settings.server;
    assert!(written.reload_on_change);
    assert!(written.listen.iter().all(|socket| socket.port() == 5300));
    assert_eq!(json!(written.data_dir), data["mountPath"]);
}

#[test]
fn argo_cd_and_flux_follow_the_same() {
    let application = manifest("argo-cd/application.yaml", "argoproj.io/v1alpha1", "Application");
    let repository = manifest("flux/gitrepository.yaml", "source.toolkit.fluxcd.io/v1", "GitRepository");
    let flux = manifest("flux/kustomization.yaml", "kustomize.toolkit.fluxcd.io/v1", "Kustomization");
    let source = &application["spec"]["source"];
    assert_eq!(source["repoURL"], repository["spec"]["url"]);
    assert_eq!(source["targetRevision"], repository["spec"]["ref"]["branch"]);
    assert_eq!(json!(format!("./{}", source["path"].as_str().unwrap())), flux["spec"]["path"]);
    assert!(gitops().join(source["path"].as_str().unwrap()).join("kustomization.yaml").is_file());
    let of = &flux["spec"]["sourceRef"];
    assert_eq!((&of["kind"], &of["name"]), (&repository["kind"], &repository["metadata"]["name"]));
    assert_eq!(flux["metadata"]["namespace"], repository["metadata"]["namespace"]);
    let namespace = manifest("meridian/namespace.yaml", "v1", "Namespace");
    assert_eq!(application["spec"]["destination"]["namespace"], namespace["metadata"]["name"]);
}

/// Both call the same scripts, with all of the history, and the label that lifts the limit.
#[test]
fn the_checks_of_ci() {
    let github = &yaml("ci/github.yaml")[0];
    let gitlab = &yaml("ci/gitlab.yaml")[0];
    let jobs = &github["jobs"];
    assert_eq!(jobs["check"]["steps"][0]["with"]["fetch-depth"], 0);
    assert_eq!(gitlab["check"]["variables"]["GIT_DEPTH"], "0");
    assert_eq!(jobs["check"]["container"], gitlab["check"]["image"]);
    for (job, of_github, of_gitlab) in [
        ("check", "./check-pull-request \"origin/$GITHUB_BASE_REF\"", "./check-pull-request FETCH_HEAD"),
        (
            "schema",
            "check-jsonschema --schemafile meridian.schema.json",
            "check-jsonschema --schemafile meridian.schema.json",
        ),
        ("drift", "./check-drift meridian/meridian.toml", "./check-drift meridian/meridian.toml"),
    ] {
        let (github, gitlab) = (jobs[job].to_string(), gitlab[job].to_string());
        for (text, wanted) in [(&github, of_github), (&gitlab, of_gitlab)] {
            assert!(text.contains(json!(wanted).to_string().trim_matches('"')), "{wanted} in {text}");
        }
    }
    for text in [jobs["check"].to_string(), gitlab["check"].to_string()] {
        assert!(text.contains("moves-traffic") && text.contains("MAX_MOVED"), "{text}");
    }
    for script in ["check-pull-request", "check-drift"] {
        let parsed = Command::new("sh").arg("-n").arg(gitops().join(script)).status().unwrap();
        assert!(parsed.success(), "{script}");
    }
}

//----------- In the pods ----------------------------------------------------

/// What `check-drift` says of a file and of what a server says.
fn drift(file: &Path, said: &[u8]) -> (Option<i32>, String) {
    let mut command = Command::new(gitops().join("check-drift"));
    let mut child = command
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), said).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), text_of(&output.stdout) + &text_of(&output.stderr))
}

/// As kubelet does it: a folder of each version, a link to the one in force that is renamed, and a link through it.
struct Mounted(PathBuf);

impl Mounted {
    fn swap(&self, version: &str, text: &str) {
        let Self(folder) = self;
        std::fs::create_dir(folder.join(version)).unwrap();
        std::fs::write(folder.join(version).join("meridian.toml"), text).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }
}

#[test]
fn a_config_map_that_is_swapped_is_served() {
    let folder = scratch();
    let data_dir = folder.join("data");
    let mounted = Mounted(folder.join("etc"));
    let version = |address: &str| {
        let server = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nreload_on_change = true\ndata_dir = {:?}\n",
            data_dir.to_str().unwrap()
        );
        let config = Config::new().with(&server).clusters(&WORLD);
        config.gateway("shop", &["shop.gslb.example"], "", &[("eu-west", address)]).text().to_owned()
    };
    std::fs::create_dir(&mounted.0).unwrap();
    mounted.swap("..2026_01_01", &version("192.0.2.1"));
    let file = mounted.0.join("meridian.toml");
    symlink("..data/meridian.toml", &file).unwrap();
    let mut command = Command::new(binary());
    command.args(["serve", "--log-format", "json", "--log-level", "debug", "--config"]).arg(&file);
    let mut meridian = Meridian::started(command);
    meridian.wait_for("ready", |line| line["message"] == "ready");
    let address = meridian.seen.iter().find_map(|line| line["address"].as_str()?.parse().ok()).unwrap();
    let ask = || ask_udp(address, &Ask::new("shop.gslb.example", RecordType::A)).unwrap().addresses();
    let running = || {
        let mut command = Command::new(binary());
        command.args(["config", "--json", "--data-dir"]).arg(&data_dir).stdin(Stdio::null());
        command.output().unwrap().stdout
    };
    assert_eq!(ask(), ["192.0.2.1"]);
    assert_eq!(drift(&file, &running()).0, Some(0));

    // In git already, not yet in the pod.
    let merged = folder.join("merged.toml");
    std::fs::write(&merged, version("192.0.2.2")).unwrap();
    let (code, said) = drift(&merged, &running());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("drift: ") && said.contains(", what runs is "), "{said}");

    let swapped = now();
    mounted.swap("..2026_01_02", &version("192.0.2.2"));
    meridian.wait_for("a reload", |line| says(line, "reloaded"));
    meridian.wait_for("its view", |line| line["message"] == "view published");
    assert_eq!(ask(), ["192.0.2.2"]);
    let (code, said) = drift(&merged, &running());
    assert_eq!(code, Some(0), "{said}");
    // It is looked at once a second, and taken when it has not changed since.
    assert!(now() - swapped < Duration::from_secs(10));
    assert_eq!(drift(&merged, b"no digest\n").0, Some(2));
    let digest = said.split(['(', ')']).nth(1).unwrap();
    let metric = format!("# HELP\nmeridian_configuration_info{{sha256=\"{digest}\"}} 1\n");
    assert_eq!(drift(&merged, metric.as_bytes()).0, Some(0));
    drop(meridian);
    std::fs::remove_dir_all(&folder).unwrap();
}
