//! Following a stream of server-sent events, and showing each as it comes.

use clap::Args;
use reqwest::header::ACCEPT;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::exit::{Done, Exit, Failure};
use super::remote::Remote;
use super::screen::Screen;
use super::values::{cell, codes, short_type, text};

/// No event is as large as this.
const MAX_FRAME: usize = 16 << 20;

/// What of a stream is shown.
#[derive(Args)]
pub(super) struct Following {
    /// Only these event types, such as CallConnected
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Go on after this event (its cursor)
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Stop after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl Following {
    /// Follows the stream at a path until it ends, or until there were enough.
    ///
    /// # Errors
    /// A [`Failure`]; one that says how to go on when the stream broke off.
    pub(super) async fn follow(&self, remote: &Remote, path: &str, screen: Screen) -> Done {
        let mut answer = remote.send(self.request(remote, path)).await?;
        let (mut frames, mut shown, mut last) = (Frames::default(), 0, String::new());
        loop {
            while let Some(frame) = frames.next()? {
                match frame.name.as_str() {
                    "switchhook.missed" => {
                        screen
                            .remark(format!("{} events were missed", cell(&frame.data, "/missed")));
                    }
                    "switchhook.end" => return farewell(&frame.data, screen),
                    _ => {
                        show(&frame.data, screen)?;
                        (last, shown) = (frame.id, shown + 1);
                    }
                }
                if self.count.is_some_and(|count| shown >= count) {
                    return Ok(());
                }
            }
            match chunk(&mut answer).await {
                Some(bytes) => frames.push(&bytes)?,
                None => return Err(broken_off(&last)),
            }
        }
    }

    fn request(&self, remote: &Remote, path: &str) -> RequestBuilder {
        let mut query = Vec::new();
        if !self.types.is_empty() {
            query.push(("types", self.types.join(",")));
        }
        if let Some(after) = &self.after {
            query.push(("after", after.clone()));
        }
        let request = remote.patient(Method::GET, path).header(ACCEPT, "text/event-stream");
        request.query(&query)
    }
}

/// The next bytes; `None` when there are no more, for whatever reason.
async fn chunk(answer: &mut Response) -> Option<Vec<u8>> {
    Some(answer.chunk().await.ok()??.to_vec())
}

fn broken_off(last: &str) -> Failure {
    let how = if last.is_empty() { "try again".to_owned() } else { format!("--after {last}") };
    Failure::new(Exit::Unreachable, format!("the stream broke off; go on with: {how}"))
}

fn farewell(data: &Value, screen: Screen) -> Done {
    match text(data, "/reason") {
        "call_ended" => {
            if !screen.is_json() {
                screen.remark("the call has ended");
            }
            Ok(())
        }
        reason => {
            Err(Failure::new(Exit::Failed, format!("the service ended the stream: {reason}")))
        }
    }
}

fn show(told: &Value, screen: Screen) -> Done {
    screen.answer(told, || line(told))
}

/// One event on one line.
pub(super) fn line(told: &Value) -> String {
    let mut words = vec![
        cell(told, "/receivedAt"),
        cell(told, "/callConnectionId"),
        short_type(text(told, "/type")).to_owned(),
    ];
    let codes = codes(told, "/event/data/resultInformation");
    if codes != "-" {
        words.push(codes);
    }
    let context = text(told, "/event/data/operationContext");
    if !context.is_empty() {
        words.push(format!("context={context}"));
    }
    words.join("  ")
}

/// One event of a stream.
#[derive(Debug, PartialEq)]
struct Frame {
    id: String,
    name: String,
    data: Value,
}

/// Cuts what arrives into frames.
#[derive(Default)]
struct Frames {
    waiting: Vec<u8>,
}

impl Frames {
    fn push(&mut self, bytes: &[u8]) -> Done {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() > MAX_FRAME {
            return Err(Failure::new(Exit::Failed, "an event of the stream is too large to show"));
        }
        Ok(())
    }

    /// The next frame that says something; comments keep a connection open and say nothing.
    fn next(&mut self) -> Done<Option<Frame>> {
        while let Some(end) = self.waiting.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = self.waiting.drain(..end + 2).collect();
            if let Some(frame) = read(&String::from_utf8_lossy(&frame))? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }
}

fn read(text: &str) -> Done<Option<Frame>> {
    let mut frame = Frame { id: String::new(), name: String::new(), data: json!(null) };
    let mut data = String::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => frame.id = value.to_owned(),
            "event" => frame.name = value.to_owned(),
            "data" => data.push_str(value),
            _ => {}
        }
    }
    if data.is_empty() {
        return Ok(None);
    }
    frame.data = serde_json::from_str(&data)
        .map_err(|_| Failure::new(Exit::Failed, "the stream holds something unreadable"))?;
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let stream = ": still here\n\nid: 7-1\nevent: PlayCompleted\ndata: {\"a\":1}\n\n\
                      event: switchhook.end\ndata: {\"reason\":\"call_ended\"}\n\n";
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for byte in stream.bytes() {
            frames.push(&[byte]).expect("small");
            found.extend(frames.next().expect("readable"));
        }
        let named: Vec<_> = found.iter().map(|f| (f.id.as_str(), f.name.as_str())).collect();
        assert_eq!(named, [("7-1", "PlayCompleted"), ("", "switchhook.end")]);
        assert_eq!(found[0].data, json!({"a": 1}));
    }

    #[test]
    fn an_event_is_told_on_one_line() {
        let told = json!({"receivedAt": "2026-01-01T00:00:00Z", "callConnectionId": "c1",
            "type": "Microsoft.Communication.RecognizeFailed", "event": {"data": {
                "operationContext": "ask", "resultInformation": {"code": 400, "subCode": 8510}}}});
        assert_eq!(line(&told), "2026-01-01T00:00:00Z  c1  RecognizeFailed  400/8510  context=ask");
    }
}
