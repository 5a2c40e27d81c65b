//! probe
mod kernel;
fn main() -> anyhow::Result<()> {
    let mut k = kernel::Kernel::load(&kernel::Options { enforce: false, scope: kernel::attach::Scope::Host, btf: "/sys/kernel/btf/vmlinux".into() })?;
    k.attach()?;
    for h in &k.hooks { println!("{} {} {:?}", h.hook.name, h.attached, h.reason); }
    Ok(())
}
