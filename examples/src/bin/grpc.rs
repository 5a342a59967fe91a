//! A method of a gRPC service, cached by its message.
//!
//! ```text
//! cargo run -p cache-request-examples --bin grpc
//! ```

use cache_request::cache_request;
use tonic::{Code, Request, Response, Status};

use crate::proto::{FlightReply, FlightRequest, flights_server::Flights};

/// What `tonic-prost-build` generates for a service, with `.type_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]")`. That needs
/// `protoc`, so here it is as a file.
#[expect(unreachable_pub, reason = "generated code is so")]
mod proto {
    #[derive(Clone, PartialEq, ::prost::Message, serde::Serialize, serde::Deserialize)]
    pub struct FlightRequest {
        #[prost(string, tag = "1")]
        pub carrier: ::prost::alloc::string::String,
        #[prost(uint32, tag = "2")]
        pub number: u32,
    }

    #[derive(Clone, PartialEq, ::prost::Message, serde::Serialize, serde::Deserialize)]
    pub struct FlightReply {
        #[prost(string, tag = "1")]
        pub destination: ::prost::alloc::string::String,
    }

    pub mod flights_server {
        #[tonic::async_trait]
        pub trait Flights: Send + Sync + 'static {
            async fn find(
                &self,
                request: tonic::Request<super::FlightRequest>,
            ) -> Result<tonic::Response<super::FlightReply>, tonic::Status>;
        }
    }
}

struct Timetable;

impl Timetable {
    /// The whole message is in the key. An `Err` is not kept.
    #[cache_request(timeout = 60, skip(self))]
    async fn destination(&self, request: FlightRequest) -> Result<FlightReply, Status> {
        println!("  looking up {} {}", request.carrier, request.number);
        match request.number {
            15 => Ok(FlightReply { destination: "SFO".to_owned() }),
            _ => Err(Status::not_found("no such flight")),
        }
    }
}

#[tonic::async_trait]
impl Flights for Timetable {
    /// What a request says beside its message, such as who sends it, is used here, where each call comes by.
    async fn find(&self, request: Request<FlightRequest>) -> Result<Response<FlightReply>, Status> {
        if request.metadata().get("authorization").is_none() {
            return Err(Status::new(Code::Unauthenticated, "who is it?"));
        }
        self.destination(request.into_inner()).await.map(Response::new)
    }
}

async fn ask(number: u32, authorization: Option<&'static str>) -> String {
    let mut request = Request::new(FlightRequest { carrier: "UA".to_owned(), number });
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", tonic::metadata::MetadataValue::from_static(authorization));
    }
    match Timetable.find(request).await {
        Ok(reply) => reply.into_inner().destination,
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (number, authorization) in
        [(15, None), (15, Some("Ann")), (15, Some("Bob")), (16, Some("Ann")), (16, Some("Ann"))]
    {
        println!("{}", ask(number, authorization).await);
    }
}
