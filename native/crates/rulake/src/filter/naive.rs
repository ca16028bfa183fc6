//! The language once more, straight over JSON and without regard for speed.

use serde_json::Value as Json;

pub fn matches(metadata: &Json, filter: &Json) -> bool {
    filter
        .as_object()
        .unwrap()
        .iter()
        .all(|(name, operand)| match name.as_str() {
            "$and" => operand
                .as_array()
                .unwrap()
                .iter()
                .all(|f| matches(metadata, f)),
            "$or" => operand
                .as_array()
                .unwrap()
                .iter()
                .any(|f| matches(metadata, f)),
            "$not" => !matches(metadata, operand),
            path => field(find(metadata, path), operand),
        })
}

fn find<'a>(value: &'a Json, path: &str) -> Option<&'a Json> {
    let object = value.as_object()?;
    if let Some(found) = object.get(path) {
        return Some(found);
    }
    let dots: Vec<usize> = path.match_indices('.').map(|(i, _)| i).collect();
    dots.into_iter()
        .rev()
        .find_map(|dot| find(object.get(&path[..dot])?, &path[dot + 1..]))
}

fn field(value: Option<&Json>, condition: &Json) -> bool {
    match condition.as_object() {
        Some(operators) if operators.keys().any(|key| key.starts_with('$')) => operators
            .iter()
            .all(|(name, operand)| operator(value, name, operand)),
        _ => value.is_some_and(|value| equal(value, condition)),
    }
}

fn operator(value: Option<&Json>, name: &str, operand: &Json) -> bool {
    match name {
        "$exists" => return value.is_some() == operand.as_bool().unwrap(),
        "$isEmpty" => {
            let empty = match value {
                None | Some(Json::Null) => true,
                Some(Json::String(s)) => s.is_empty(),
                Some(Json::Array(a)) => a.is_empty(),
                Some(Json::Object(o)) => o.is_empty(),
                _ => false,
            };
            return empty == operand.as_bool().unwrap();
        }
        "$not" => return !field(value, operand),
        _ => {}
    }
    let Some(value) = value else { return false };
    let any =
        |values: &Json, test: &dyn Fn(&Json) -> bool| values.as_array().unwrap().iter().any(test);
    match name {
        "$eq" => equal(value, operand),
        "$ne" => !equal(value, operand),
        "$gt" => order(value, operand).is_some_and(|o| o > 0),
        "$gte" => order(value, operand).is_some_and(|o| o >= 0),
        "$lt" => order(value, operand).is_some_and(|o| o < 0),
        "$lte" => order(value, operand).is_some_and(|o| o <= 0),
        "$in" => any(operand, &|o| equal(value, o)),
        "$nin" => !any(operand, &|o| equal(value, o)),
        "$contains" => contains(value, operand),
        "$containsAny" => any(operand, &|o| contains(value, o)),
        "$containsAll" => {
            (value.is_array() || value.is_string()) && !any(operand, &|o| !contains(value, o))
        }
        "$startsWith" => value
            .as_str()
            .is_some_and(|s| s.starts_with(operand.as_str().unwrap())),
        "$textMatch" => value.as_str().is_some_and(|s| {
            s.to_lowercase()
                .contains(&operand.as_str().unwrap().to_lowercase())
        }),
        _ => unreachable!(),
    }
}

fn contains(value: &Json, operand: &Json) -> bool {
    match (value, operand) {
        (Json::Array(items), operand) => items.iter().any(|item| equal(item, operand)),
        (Json::String(text), Json::String(part)) => text.contains(part.as_str()),
        _ => false,
    }
}

fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        (a, b) => a == b,
    }
}

fn order(a: &Json, b: &Json) -> Option<i32> {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).map(|o| o as i32),
        (Json::String(a), Json::String(b)) => Some(a.chars().cmp(b.chars()) as i32),
        _ => None,
    }
}
