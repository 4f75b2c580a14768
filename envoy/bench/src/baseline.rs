//! What Sekisho is compared with: the same listener, connection manager, route and upstream
//! as `sekisho render envoy` makes them, with Envoy's own filters or none in place of ours; and
//! `scope.wasm` alone.

mod native;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use native::Caller;

const CONNECTION_MANAGER: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
/// Where a wasm filter has its plugin's configuration.
const PLUGIN_CONFIGURATION: &str = "/typed_config/config/configuration/value";
/// Where it has its module.
const MODULE: &str = "/typed_config/config/vm_config/code/local/filename";
const SCOPE: &str = "sekisho_scope";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The configuration that `sekisho render envoy` printed
    #[arg(long, value_name = "FILE")]
    rendered: PathBuf,
    /// The cluster that takes every request
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// What stands before the router
    #[arg(long, value_enum, default_value_t = Filters::None)]
    filters: Filters,
    /// The tokens' `iss`
    #[arg(long, required_if_eq_any = NEED_A_TOKEN)]
    issuer: Option<String>,
    /// The tokens' `aud`
    #[arg(long, required_if_eq_any = NEED_A_TOKEN)]
    audience: Option<String>,
    /// File with the issuer's JSON Web Key Set
    #[arg(long, value_name = "FILE", required_if_eq_any = NEED_A_TOKEN)]
    jwks: Option<PathBuf>,
    /// What the tokens' `scp` must contain
    #[arg(long, required_if_eq("filters", "native"))]
    scope: Option<String>,
    /// The policy that scope.wasm gets in its configuration
    #[arg(long, value_name = "FILE", required_if_eq("filters", "scope"))]
    policy: Option<PathBuf>,
    /// The module that stands there
    #[arg(long, value_name = "FILE", required_if_eq("filters", "module"))]
    module: Option<PathBuf>,
}

const NEED_A_TOKEN: [(&str, &str); 3] = [
    ("filters", "native"),
    ("filters", "jwt-cached"),
    ("filters", "jwt"),
];

/// What stands before the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Filters {
    /// Nothing.
    None,
    /// `jwt_authn` with its token cache, rbac and `local_ratelimit`
    Native,
    /// `jwt_authn` alone, with its token cache
    JwtCached,
    /// `jwt_authn` alone, without its token cache
    Jwt,
    /// scope.wasm alone, out of a chain rendered as separate modules
    Scope,
    /// Another wasm module in the place of that, without a configuration
    Module,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` is not YAML: {source}", path.display())]
    NotYaml {
        path: PathBuf,
        source: serde_yaml_ng::Error,
    },
    #[error(
        "the rendered configuration has no `{0}`; `sekisho render envoy` makes another shape now"
    )]
    Missing(String),
    #[error("the configuration cannot be printed: {0}")]
    Unprintable(#[from] std::io::Error),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, BaselineError> {
    let mut config = yaml(&arguments.rendered)?;
    let filters = filters(arguments, &config)?;
    replace(&mut config, filters, &arguments.cluster)?;
    // JSON is YAML.
    std::io::stdout().write_all(format!("{config:#}\n").as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn filters(arguments: &Arguments, rendered: &Value) -> Result<Vec<Value>, BaselineError> {
    let jwks = arguments.jwks.as_deref().map(read).transpose()?;
    // The command line has seen to it that what is needed is there.
    let caller = Caller {
        issuer: arguments.issuer.as_deref().unwrap_or_default(),
        audience: arguments.audience.as_deref().unwrap_or_default(),
        jwks: jwks.as_deref().unwrap_or_default(),
    };
    Ok(match arguments.filters {
        Filters::None => Vec::new(),
        Filters::Native => native::chain(&caller, arguments.scope.as_deref().unwrap_or_default()),
        Filters::JwtCached => vec![native::token_check(&caller, true)],
        Filters::Jwt => vec![native::token_check(&caller, false)],
        Filters::Scope => {
            let policy = arguments.policy.as_deref().map(yaml).transpose()?;
            vec![scope_alone(rendered, &policy.unwrap_or_default())?]
        }
        Filters::Module => {
            let module = arguments.module.as_deref().unwrap_or(Path::new(""));
            vec![module_alone(rendered, module)?]
        }
    })
}

/// The rendered chain's scope module, with the policy where the sidecar was named, and told that
/// it is the only one.
fn scope_alone(rendered: &Value, policy: &Value) -> Result<Value, BaselineError> {
    let mut filter = scope_filter(rendered)?;
    let configuration = json!({"policy": policy, "standalone": true}).to_string();
    set(&mut filter, PLUGIN_CONFIGURATION, configuration)?;
    Ok(filter)
}

/// The same filter with another module, which needs no configuration.
fn module_alone(rendered: &Value, module: &Path) -> Result<Value, BaselineError> {
    let mut filter = scope_filter(rendered)?;
    set(&mut filter, PLUGIN_CONFIGURATION, "{}".to_owned())?;
    set(&mut filter, MODULE, module.display().to_string())?;
    Ok(filter)
}

fn scope_filter(rendered: &Value) -> Result<Value, BaselineError> {
    rendered
        .pointer(CONNECTION_MANAGER)
        .and_then(|manager| manager.pointer("/http_filters")?.as_array())
        .and_then(|chain| chain.iter().find(|filter| is_named(filter, SCOPE)))
        .cloned()
        .ok_or_else(|| missing(SCOPE))
}

fn set(filter: &mut Value, place: &str, text: String) -> Result<(), BaselineError> {
    *filter.pointer_mut(place).ok_or_else(|| missing(place))? = text.into();
    Ok(())
}

fn is_named(value: &Value, name: &str) -> bool {
    value.get("name").and_then(Value::as_str) == Some(name)
}

fn missing(what: &str) -> BaselineError {
    BaselineError::Missing(what.to_owned())
}

fn yaml(path: &Path) -> Result<Value, BaselineError> {
    serde_yaml_ng::from_str(&read(path)?).map_err(|source| BaselineError::NotYaml {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<String, BaselineError> {
    std::fs::read_to_string(path).map_err(|source| BaselineError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Puts `filters` where the wasm filters stand, and sends everything to `cluster`.
fn replace(config: &mut Value, filters: Vec<Value>, cluster: &str) -> Result<(), BaselineError> {
    let manager = config
        .pointer_mut(CONNECTION_MANAGER)
        .ok_or_else(|| missing(CONNECTION_MANAGER))?;
    let chain = manager
        .pointer_mut("/http_filters")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| missing("http_filters"))?;
    chain.retain(|filter| filter.pointer("/typed_config/config/vm_config").is_none());
    chain.splice(0..0, filters);
    let host = manager
        .pointer_mut("/route_config/virtual_hosts/0/routes")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| missing("routes"))?;
    host.retain(|route| route.pointer("/route/cluster").and_then(Value::as_str) == Some(cluster));
    let route = host
        .first_mut()
        .and_then(|route| route.pointer_mut("/match"))
        .ok_or_else(|| missing(&format!("route to `{cluster}`")))?;
    *route = json!({"prefix": "/"});
    let clusters = config
        .pointer_mut("/static_resources/clusters")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| missing("clusters"))?;
    clusters.retain(|known| is_named(known, cluster));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered() -> Value {
        let route = |name: &str| {
            json!({
                "match": {"prefix": "/", "headers": [{"name": "x-cluster"}]},
                "route": {"cluster": name, "timeout": "0s"},
            })
        };
        json!({"static_resources": {
            "listeners": [{"filter_chains": [{"filters": [{"typed_config": {
                "http_filters": [
                    {"name": "sekisho_scope", "typed_config": {"config": {
                        "vm_config": {"code": {"local": {"filename": "scope.wasm"}}},
                        "configuration": {"value": "{}"},
                    }}},
                    {"name": "wasm", "typed_config": {"config": {"vm_config": {}}}},
                    {"name": "router", "typed_config": {}},
                ],
                "route_config": {"virtual_hosts": [{"routes": [route("other"), route("llm")]}]},
            }}]}]}],
            "clusters": [{"name": "sidecar"}, {"name": "other"}, {"name": "llm"}],
        }})
    }

    #[test]
    fn only_our_filters_and_other_upstreams_are_taken_out() {
        let mut config = rendered();
        replace(&mut config, Vec::new(), "llm").unwrap();
        let manager = config.pointer(CONNECTION_MANAGER).unwrap();
        assert_eq!(
            manager["http_filters"],
            json!([{"name": "router", "typed_config": {}}])
        );
        assert_eq!(
            manager["route_config"]["virtual_hosts"][0]["routes"],
            json!([{"match": {"prefix": "/"}, "route": {"cluster": "llm", "timeout": "0s"}}])
        );
        assert_eq!(
            config["static_resources"]["clusters"],
            json!([{"name": "llm"}])
        );
    }

    fn names(filters: Vec<Value>) -> Vec<String> {
        let mut config = rendered();
        replace(&mut config, filters, "llm").unwrap();
        let manager = config.pointer(CONNECTION_MANAGER).unwrap();
        let filters = manager["http_filters"].as_array().unwrap().iter();
        filters
            .map(|filter| filter["name"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn native_filters_stand_before_the_router() {
        let caller = Caller {
            issuer: "iss",
            audience: "aud",
            jwks: "{}",
        };
        let chain = names(native::chain(&caller, "text"));
        assert_eq!(chain.len(), 4);
        assert_eq!(chain.last().unwrap(), "router");
        for has_cache in [true, false] {
            let check = native::token_check(&caller, has_cache);
            let provider = &check["typed_config"]["providers"]["issuer"];
            assert_eq!(provider.get("jwt_cache_config").is_some(), has_cache);
            assert_eq!(
                names(vec![check]),
                ["envoy.filters.http.jwt_authn", "router"]
            );
        }
    }

    #[test]
    fn the_scope_module_stands_alone_with_its_policy() {
        let scope = scope_alone(&rendered(), &json!({"version": 1})).unwrap();
        let configuration = scope.pointer(PLUGIN_CONFIGURATION).unwrap();
        assert_eq!(
            configuration,
            r#"{"policy":{"version":1},"standalone":true}"#
        );
        assert_eq!(names(vec![scope]), ["sekisho_scope", "router"]);
        let error = scope_alone(&json!({}), &json!({})).unwrap_err();
        assert!(error.to_string().contains("`sekisho_scope`"), "{error}");
    }

    #[test]
    fn another_module_stands_in_its_place_without_its_policy() {
        let floor = module_alone(&rendered(), Path::new("floor.wasm")).unwrap();
        assert_eq!(floor.pointer(MODULE).unwrap(), "floor.wasm");
        assert_eq!(floor.pointer(PLUGIN_CONFIGURATION).unwrap(), "{}");
    }

    #[test]
    fn an_unknown_cluster_is_an_error() {
        let error = replace(&mut rendered(), Vec::new(), "elsewhere").unwrap_err();
        assert!(error.to_string().contains("`elsewhere`"), "{error}");
    }
}
