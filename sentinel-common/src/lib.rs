//! sentinel-common
