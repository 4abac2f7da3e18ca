//! From the vendor's JSON to a filter, or to what is wrong with it.

use serde_json::{Map, Value};

use super::{
    Advanced, Filter, FilterError, MAX_FILTERS, MAX_TEXT, MAX_VALUES, Operand, Operator, Subject,
    fold,
};

pub(super) fn filter(json: &Value) -> Result<Filter, FilterError> {
    let mut filter = Filter {
        types: Vec::new(),
        subject: Subject::default(),
        advanced: Vec::new(),
        on_arrays: false,
        said: json.clone(),
    };
    match json {
        Value::Array(filters) => filter.advanced = all(filters)?,
        Value::Object(members) => whole(&mut filter, members)?,
        _ => return Err(FilterError::NotAFilter),
    }
    Ok(filter)
}

/// The filter of an event subscription. Null is the same as absent.
fn whole(filter: &mut Filter, members: &Map<String, Value>) -> Result<(), FilterError> {
    const KNOWN: &str = "one of includedEventTypes, subjectBeginsWith, subjectEndsWith, \
                         isSubjectCaseSensitive, advancedFilters, enableAdvancedFilteringOnArrays";
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "includedEventTypes" => filter.types = types(value)?,
            "subjectBeginsWith" => filter.subject.begins = text("subjectBeginsWith", value)?,
            "subjectEndsWith" => filter.subject.ends = text("subjectEndsWith", value)?,
            "isSubjectCaseSensitive" => {
                filter.subject.case_sensitive = flag("isSubjectCaseSensitive", value)?;
            }
            "advancedFilters" => {
                let wrong = || wrong("advancedFilters", "an array of filters");
                filter.advanced = all(value.as_array().ok_or_else(wrong)?)?;
            }
            "enableAdvancedFilteringOnArrays" => {
                filter.on_arrays = flag("enableAdvancedFilteringOnArrays", value)?;
            }
            _ => return Err(wrong("each member of a filter", KNOWN)),
        }
    }
    if !filter.subject.case_sensitive {
        filter.subject.begins = fold(&filter.subject.begins);
        filter.subject.ends = fold(&filter.subject.ends);
    }
    Ok(())
}

fn wrong(member: &'static str, wants: &'static str) -> FilterError {
    FilterError::WrongMember { member, wants }
}

fn types(value: &Value) -> Result<Vec<String>, FilterError> {
    let wrong = || wrong("includedEventTypes", "an array of event types");
    let types = value.as_array().ok_or_else(wrong)?;
    types.iter().map(|kind| kind.as_str().map(fold).ok_or_else(wrong)).collect()
}

fn text(member: &'static str, value: &Value) -> Result<String, FilterError> {
    let text = value.as_str().ok_or_else(|| wrong(member, "a text"))?;
    if text.chars().count() > MAX_TEXT {
        return Err(wrong(member, "a text of at most 512 characters"));
    }
    Ok(text.to_owned())
}

fn flag(member: &'static str, value: &Value) -> Result<bool, FilterError> {
    value.as_bool().ok_or_else(|| wrong(member, "true or false"))
}

fn all(filters: &[Value]) -> Result<Vec<Advanced>, FilterError> {
    if filters.len() > MAX_FILTERS {
        return Err(FilterError::TooManyFilters { found: filters.len() });
    }
    let read: Vec<Advanced> = filters
        .iter()
        .enumerate()
        .map(|(index, json)| one(index, json))
        .collect::<Result<_, _>>()?;
    let found = read.iter().map(|filter| filter.operand.count()).sum();
    if found > MAX_VALUES {
        return Err(FilterError::TooManyValues { found });
    }
    Ok(read)
}

impl Operand {
    fn count(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Bool(_) | Self::Number(_) => 1,
            Self::Numbers(values) => values.len(),
            Self::Ranges(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }
}

fn one(index: usize, json: &Value) -> Result<Advanced, FilterError> {
    let members = json.as_object().ok_or(FilterError::NotAnObject { index })?;
    let known = ["operatorType", "key", "value", "values"];
    if members.keys().any(|name| !known.contains(&name.as_str())) {
        return Err(FilterError::UnknownMember { index });
    }
    let given = |name: &str| members.get(name).filter(|value| !value.is_null());
    let operator = given("operatorType")
        .and_then(Value::as_str)
        .and_then(Operator::of_name)
        .ok_or(FilterError::UnknownOperator { index })?;
    let path = given("key").and_then(Value::as_str).and_then(path);
    let path = path.ok_or(FilterError::WrongKey { index })?;
    let operand = operand(operator, given("value"), given("values"))
        .ok_or_else(|| FilterError::WrongOperand { index, operator, wants: operator.wants() })?;
    let too_long = |text: &str| text.chars().count() > MAX_TEXT;
    let values = given("values").and_then(Value::as_array);
    if values.into_iter().flatten().filter_map(Value::as_str).any(too_long) {
        return Err(FilterError::ValueTooLong { index });
    }
    Ok(Advanced { operator, path, operand })
}

fn path(key: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = key.split('.').map(str::to_owned).collect();
    (key.chars().count() <= MAX_TEXT && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

/// The operand that the operator wants, `None` when something else stands there.
fn operand(operator: Operator, value: Option<&Value>, values: Option<&Value>) -> Option<Operand> {
    use Operator as O;
    match (operator, value, values) {
        (O::IsNullOrUndefined | O::IsNotNull, None, None) => Some(Operand::Nothing),
        (O::BoolEquals, Some(value), None) => value.as_bool().map(Operand::Bool),
        (
            O::NumberLessThan
            | O::NumberLessThanOrEquals
            | O::NumberGreaterThan
            | O::NumberGreaterThanOrEquals,
            Some(value),
            None,
        ) => value.as_f64().map(Operand::Number),
        (O::NumberIn | O::NumberNotIn, None, Some(values)) => {
            each(values, Value::as_f64).map(Operand::Numbers)
        }
        (O::NumberInRange | O::NumberNotInRange, None, Some(values)) => {
            each(values, range).map(Operand::Ranges)
        }
        (
            O::StringIn
            | O::StringNotIn
            | O::StringBeginsWith
            | O::StringEndsWith
            | O::StringContains
            | O::StringNotBeginsWith
            | O::StringNotEndsWith
            | O::StringNotContains,
            None,
            Some(values),
        ) => each(values, |value| value.as_str().map(fold)).map(Operand::Texts),
        _ => None,
    }
}

/// Every element read alike; `None` when one cannot be, or when there is none.
fn each<T>(values: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let values = values.as_array().filter(|values| !values.is_empty())?;
    values.iter().map(read).collect()
}

fn range(value: &Value) -> Option<(f64, f64)> {
    match value.as_array()?.as_slice() {
        [low, high] => Some((low.as_f64()?, high.as_f64()?)).filter(|(low, high)| low <= high),
        _ => None,
    }
}
