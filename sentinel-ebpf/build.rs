//! Tells the linker of kernel programs to write short copies and fillings of memory out.
//!
//! Otherwise LLVM calls functions that go byte by byte for all of them but `memcpy` (`MaxStoresPerMemset = 0` in
//! `BPFISelLowering.cpp` under `--bpf-expand-memcpy-in-order`, which bpf-linker passes): slow when run, and the verifier walks
//! every byte.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "bpf") {
        println!("cargo:rustc-link-arg-bins=--disable-expand-memcpy-in-order");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
