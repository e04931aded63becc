//! The description of the paths, for programs and for people (`GET /openapi.json` and `/docs`).

use std::fmt::Write;
use std::sync::Arc;

use axum::routing::MethodRouter;
use pulldown_cmark_escape::escape_html;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::shared::Shared;

/// A path of the server.
pub struct Endpoint {
    /// The path.
    pub path: &'static str,
    /// Its handler.
    pub route: MethodRouter<Arc<Shared>>,
    summary: &'static str,
    body: Option<fn(&mut SchemaGenerator) -> Schema>,
    response: fn(&mut SchemaGenerator) -> Schema,
    content_type: &'static str,
}

impl Endpoint {
    /// A path that takes `B` and returns `R`, both as JSON.
    pub fn posts<B: JsonSchema, R: JsonSchema>(
        path: &'static str,
        summary: &'static str,
        route: MethodRouter<Arc<Shared>>,
    ) -> Endpoint {
        let body = Some(SchemaGenerator::subschema_for::<B> as fn(&mut SchemaGenerator) -> Schema);
        Endpoint { body, ..Self::gets::<R>(path, summary, route) }
    }

    /// A path that returns `R` as JSON.
    pub fn gets<R: JsonSchema>(
        path: &'static str,
        summary: &'static str,
        route: MethodRouter<Arc<Shared>>,
    ) -> Endpoint {
        let response = SchemaGenerator::subschema_for::<R>;
        Endpoint { path, route, summary, body: None, response, content_type: "application/json" }
    }

    /// The same with another content type of the response.
    pub fn of(mut self, content_type: &'static str) -> Endpoint {
        self.content_type = content_type;
        self
    }

    /// The operation of the document.
    fn describe(&self, generator: &mut SchemaGenerator) -> Value {
        let response = (self.response)(generator);
        let mut operation = json!({
            "summary": self.summary,
            "responses": { "200": { "description": self.summary, "content": { self.content_type: { "schema": response } } } },
        });
        let Some(body) = self.body else { return json!({ "get": operation }) };
        let schema = body(generator);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        let schema = if self.path == "/v1/embeddings" { "OpenAiError" } else { "Error" };
        let schema = json!({ "schema": { "$ref": format!("#/components/schemas/{schema}") } });
        for (status, when) in ERRORS {
            operation["responses"][status] =
                json!({ "description": when, "content": { "application/json": schema } });
        }
        // The key is optional, since a server may have none.
        operation["security"] = json!([{}, { "key": [] }]);
        json!({ "post": operation })
    }
}

/// The statuses of errors, and when they are given.
const ERRORS: [(&str, &str); 8] = [
    ("400", "The body is not JSON."),
    ("401", "The key is missing or wrong."),
    ("404", "There is no model of this name."),
    ("413", "The body, the number of texts or a text is too large."),
    ("415", "The body is not declared as JSON."),
    ("422", "The body does not say what the path needs, or the model does not answer on it."),
    ("429", "Too many texts wait."),
    ("504", "The request took too long."),
];

/// The description of the paths, as OpenAPI 3.1.
pub fn document(endpoints: &[Endpoint]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let paths: Map<String, Value> =
        endpoints.iter().map(|e| (e.path.to_owned(), e.describe(&mut generator))).collect();
    let mut schemas = generator.take_definitions(true);
    let string = json!({ "type": "string" });
    schemas.insert("Error".into(), json!({
        "type": "object", "required": ["error", "error_type"], "properties": { "error": string, "error_type": string },
    }));
    let message = json!({ "type": "object", "required": ["message"], "properties": { "message": string } });
    schemas.insert(
        "OpenAiError".into(),
        json!({
            "type": "object", "required": ["error"], "properties": { "error": message },
        }),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "obertc serve",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Answers from transformer encoders: labels, entities, embeddings, rankings and answers.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
        },
    })
}

/// The description as a page that loads nothing else.
pub fn page(document: &Value) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><title>obertc serve</title><style>\
         body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
         code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:.7rem;overflow:auto}\
         summary{cursor:pointer}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}pre{background:#222}}\
         </style><h1>obertc serve</h1><p>The same for programs: <a href=openapi.json>openapi.json</a> (OpenAPI 3.1).</p>",
    );
    let none = Map::new();
    for (path, item) in document["paths"].as_object().unwrap_or(&none) {
        for (method, operation) in item.as_object().unwrap_or(&none) {
            let text = |key: &str| operation[key].as_str().unwrap_or_default();
            let heading = format!("{} {path}", method.to_uppercase());
            element(&mut page, "h2", &heading);
            element(&mut page, "p", text("summary"));
            schema(&mut page, "Request", &operation["requestBody"]["content"]);
            schema(&mut page, "Response", &operation["responses"]["200"]["content"]);
        }
    }
    page.push_str("<h1>Types</h1>");
    for (name, of) in document["components"]["schemas"].as_object().unwrap_or(&none) {
        element(&mut page, "h2", name);
        element(&mut page, "pre", &serde_json::to_string_pretty(of).unwrap_or_default());
    }
    page
}

/// The schemas of a body, one for each content type.
fn schema(page: &mut String, title: &str, content: &Value) {
    for (kind, of) in content.as_object().into_iter().flatten() {
        let _ = write!(page, "<p>{title}, <code>{kind}</code></p>");
        element(page, "pre", &serde_json::to_string_pretty(&of["schema"]).unwrap_or_default());
    }
}

fn element(page: &mut String, name: &str, text: &str) {
    let mut escaped = String::new();
    // Writing into a string does not fail.
    let _ = escape_html(&mut escaped, text);
    let _ = write!(page, "<{name}>{escaped}</{name}>");
}
