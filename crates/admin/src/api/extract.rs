//! What requests carry, with refusals in JSON like all others.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Refused;

/// The query of an address.
pub(crate) struct Query<T>(pub(crate) T);

/// The parts of a path that stand for something.
pub(crate) struct Path<T>(pub(crate) T);

/// The JSON of a body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        read.map(|read| Self(read.0))
            .map_err(|rejection| Refused::new(rejection.status(), rejection.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|read| Self(read.0))
            .map_err(|rejection| Refused::new(rejection.status(), rejection.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let read = axum::Json::from_request(request, state).await;
        read.map(|read| Self(read.0))
            .map_err(|rejection| Refused::new(rejection.status(), rejection.body_text()))
    }
}
