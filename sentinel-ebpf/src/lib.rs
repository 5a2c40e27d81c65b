//! Empty on purpose: the kernel programs are the binary target of this package.
#![no_std]
