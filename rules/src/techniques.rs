//! MITRE ATT&CK technique ids: their form, and names and tactics of those that concern a Linux host.
//!
//! A sub-technique is listed with its parent's tactic. An id of the right form that is not listed is accepted:
//! the matrix grows faster than this table. ATT&CK is a registered trademark of The MITRE Corporation.

use crate::vocabulary::Technique;

/// Reads an id; the name and tactic are filled in where the table has them.
pub(crate) fn parse_technique(id: &str) -> Option<Technique> {
    if !well_formed(id) {
        return None;
    }
    let known = TECHNIQUES.iter().find(|(known, ..)| *known == id);
    let (name, tactic) = known.map_or(("", ""), |(_, name, tactic)| (*name, *tactic));
    Some(Technique { id: id.to_owned(), name: name.to_owned(), tactic: tactic.to_owned() })
}

/// `T` and four digits, optionally a dot and three digits.
fn well_formed(id: &str) -> bool {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    match id.strip_prefix('T').map(|rest| rest.split_once('.').unwrap_or((rest, "000"))) {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => false,
    }
}

const RECON: &str = "Reconnaissance";
const RESOURCE: &str = "Resource Development";
const INITIAL: &str = "Initial Access";
const EXECUTION: &str = "Execution";
const PERSISTENCE: &str = "Persistence";
const PRIVILEGE: &str = "Privilege Escalation";
const EVASION: &str = "Defense Evasion";
const CREDENTIAL: &str = "Credential Access";
const DISCOVERY: &str = "Discovery";
const LATERAL: &str = "Lateral Movement";
const COLLECTION: &str = "Collection";
const CONTROL: &str = "Command and Control";
const EXFILTRATION: &str = "Exfiltration";
const IMPACT: &str = "Impact";

/// Id, name, first tactic.
const TECHNIQUES: &[(&str, &str, &str)] = &[
    ("T1003", "OS Credential Dumping", CREDENTIAL),
    ("T1003.007", "OS Credential Dumping: Proc Filesystem", CREDENTIAL),
    ("T1003.008", "OS Credential Dumping: /etc/passwd and /etc/shadow", CREDENTIAL),
    ("T1005", "Data from Local System", COLLECTION),
    ("T1006", "Direct Volume Access", EVASION),
    ("T1007", "System Service Discovery", DISCOVERY),
    ("T1008", "Fallback Channels", CONTROL),
    ("T1014", "Rootkit", EVASION),
    ("T1016", "System Network Configuration Discovery", DISCOVERY),
    ("T1018", "Remote System Discovery", DISCOVERY),
    ("T1020", "Automated Exfiltration", EXFILTRATION),
    ("T1021", "Remote Services", LATERAL),
    ("T1021.004", "Remote Services: SSH", LATERAL),
    ("T1027", "Obfuscated Files or Information", EVASION),
    ("T1027.002", "Obfuscated Files or Information: Software Packing", EVASION),
    ("T1027.004", "Obfuscated Files or Information: Compile After Delivery", EVASION),
    ("T1027.011", "Obfuscated Files or Information: Fileless Storage", EVASION),
    ("T1030", "Data Transfer Size Limits", EXFILTRATION),
    ("T1033", "System Owner/User Discovery", DISCOVERY),
    ("T1036", "Masquerading", EVASION),
    ("T1036.003", "Masquerading: Rename Legitimate Utilities", EVASION),
    ("T1036.004", "Masquerading: Masquerade Task or Service", EVASION),
    ("T1036.005", "Masquerading: Match Legitimate Resource Name or Location", EVASION),
    ("T1037", "Boot or Logon Initialization Scripts", PERSISTENCE),
    ("T1037.004", "Boot or Logon Initialization Scripts: RC Scripts", PERSISTENCE),
    ("T1040", "Network Sniffing", CREDENTIAL),
    ("T1041", "Exfiltration Over C2 Channel", EXFILTRATION),
    ("T1046", "Network Service Discovery", DISCOVERY),
    ("T1048", "Exfiltration Over Alternative Protocol", EXFILTRATION),
    ("T1049", "System Network Connections Discovery", DISCOVERY),
    ("T1053", "Scheduled Task/Job", EXECUTION),
    ("T1053.002", "Scheduled Task/Job: At", EXECUTION),
    ("T1053.003", "Scheduled Task/Job: Cron", EXECUTION),
    ("T1053.006", "Scheduled Task/Job: Systemd Timers", EXECUTION),
    ("T1053.007", "Scheduled Task/Job: Container Orchestration Job", EXECUTION),
    ("T1055", "Process Injection", EVASION),
    ("T1055.008", "Process Injection: Ptrace System Calls", EVASION),
    ("T1055.009", "Process Injection: Proc Memory", EVASION),
    ("T1056", "Input Capture", COLLECTION),
    ("T1056.001", "Input Capture: Keylogging", COLLECTION),
    ("T1057", "Process Discovery", DISCOVERY),
    ("T1059", "Command and Scripting Interpreter", EXECUTION),
    ("T1059.004", "Command and Scripting Interpreter: Unix Shell", EXECUTION),
    ("T1059.006", "Command and Scripting Interpreter: Python", EXECUTION),
    ("T1059.007", "Command and Scripting Interpreter: JavaScript", EXECUTION),
    ("T1059.011", "Command and Scripting Interpreter: Lua", EXECUTION),
    ("T1068", "Exploitation for Privilege Escalation", PRIVILEGE),
    ("T1069", "Permission Groups Discovery", DISCOVERY),
    ("T1070", "Indicator Removal", EVASION),
    ("T1070.002", "Indicator Removal: Clear Linux or Mac System Logs", EVASION),
    ("T1070.003", "Indicator Removal: Clear Command History", EVASION),
    ("T1070.004", "Indicator Removal: File Deletion", EVASION),
    ("T1070.006", "Indicator Removal: Timestomp", EVASION),
    ("T1071", "Application Layer Protocol", CONTROL),
    ("T1071.001", "Application Layer Protocol: Web Protocols", CONTROL),
    ("T1071.004", "Application Layer Protocol: DNS", CONTROL),
    ("T1074", "Data Staged", COLLECTION),
    ("T1074.001", "Data Staged: Local Data Staging", COLLECTION),
    ("T1078", "Valid Accounts", INITIAL),
    ("T1078.003", "Valid Accounts: Local Accounts", INITIAL),
    ("T1078.004", "Valid Accounts: Cloud Accounts", INITIAL),
    ("T1080", "Taint Shared Content", LATERAL),
    ("T1082", "System Information Discovery", DISCOVERY),
    ("T1083", "File and Directory Discovery", DISCOVERY),
    ("T1087", "Account Discovery", DISCOVERY),
    ("T1087.001", "Account Discovery: Local Account", DISCOVERY),
    ("T1090", "Proxy", CONTROL),
    ("T1090.003", "Proxy: Multi-hop Proxy", CONTROL),
    ("T1095", "Non-Application Layer Protocol", CONTROL),
    ("T1098", "Account Manipulation", PERSISTENCE),
    ("T1098.004", "Account Manipulation: SSH Authorized Keys", PERSISTENCE),
    ("T1102", "Web Service", CONTROL),
    ("T1104", "Multi-Stage Channels", CONTROL),
    ("T1105", "Ingress Tool Transfer", CONTROL),
    ("T1106", "Native API", EXECUTION),
    ("T1110", "Brute Force", CREDENTIAL),
    ("T1113", "Screen Capture", COLLECTION),
    ("T1115", "Clipboard Data", COLLECTION),
    ("T1123", "Audio Capture", COLLECTION),
    ("T1129", "Shared Modules", EXECUTION),
    ("T1132", "Data Encoding", CONTROL),
    ("T1133", "External Remote Services", INITIAL),
    ("T1135", "Network Share Discovery", DISCOVERY),
    ("T1136", "Create Account", PERSISTENCE),
    ("T1136.001", "Create Account: Local Account", PERSISTENCE),
    ("T1140", "Deobfuscate/Decode Files or Information", EVASION),
    ("T1176", "Software Extensions", PERSISTENCE),
    ("T1189", "Drive-by Compromise", INITIAL),
    ("T1190", "Exploit Public-Facing Application", INITIAL),
    ("T1195", "Supply Chain Compromise", INITIAL),
    ("T1195.002", "Supply Chain Compromise: Compromise Software Supply Chain", INITIAL),
    ("T1201", "Password Policy Discovery", DISCOVERY),
    ("T1203", "Exploitation for Client Execution", EXECUTION),
    ("T1205", "Traffic Signaling", PERSISTENCE),
    ("T1210", "Exploitation of Remote Services", LATERAL),
    ("T1211", "Exploitation for Defense Evasion", EVASION),
    ("T1212", "Exploitation for Credential Access", CREDENTIAL),
    ("T1213", "Data from Information Repositories", COLLECTION),
    ("T1217", "Browser Information Discovery", DISCOVERY),
    ("T1218", "System Binary Proxy Execution", EVASION),
    ("T1219", "Remote Access Tools", CONTROL),
    ("T1222", "File and Directory Permissions Modification", EVASION),
    ("T1222.002", "File and Directory Permissions Modification: Linux and Mac", EVASION),
    ("T1485", "Data Destruction", IMPACT),
    ("T1486", "Data Encrypted for Impact", IMPACT),
    ("T1489", "Service Stop", IMPACT),
    ("T1490", "Inhibit System Recovery", IMPACT),
    ("T1495", "Firmware Corruption", IMPACT),
    ("T1496", "Resource Hijacking", IMPACT),
    ("T1496.001", "Resource Hijacking: Compute Hijacking", IMPACT),
    ("T1497", "Virtualization/Sandbox Evasion", EVASION),
    ("T1498", "Network Denial of Service", IMPACT),
    ("T1499", "Endpoint Denial of Service", IMPACT),
    ("T1505", "Server Software Component", PERSISTENCE),
    ("T1505.003", "Server Software Component: Web Shell", PERSISTENCE),
    ("T1518", "Software Discovery", DISCOVERY),
    ("T1518.001", "Software Discovery: Security Software Discovery", DISCOVERY),
    ("T1525", "Implant Internal Image", PERSISTENCE),
    ("T1526", "Cloud Service Discovery", DISCOVERY),
    ("T1528", "Steal Application Access Token", CREDENTIAL),
    ("T1529", "System Shutdown/Reboot", IMPACT),
    ("T1530", "Data from Cloud Storage", COLLECTION),
    ("T1531", "Account Access Removal", IMPACT),
    ("T1537", "Transfer Data to Cloud Account", EXFILTRATION),
    ("T1539", "Steal Web Session Cookie", CREDENTIAL),
    ("T1542", "Pre-OS Boot", EVASION),
    ("T1543", "Create or Modify System Process", PERSISTENCE),
    ("T1543.002", "Create or Modify System Process: Systemd Service", PERSISTENCE),
    ("T1546", "Event Triggered Execution", PERSISTENCE),
    ("T1546.004", "Event Triggered Execution: Unix Shell Configuration Modification", PERSISTENCE),
    ("T1546.005", "Event Triggered Execution: Trap", PERSISTENCE),
    ("T1546.016", "Event Triggered Execution: Installer Packages", PERSISTENCE),
    ("T1546.017", "Event Triggered Execution: Udev Rules", PERSISTENCE),
    ("T1547", "Boot or Logon Autostart Execution", PERSISTENCE),
    ("T1547.006", "Boot or Logon Autostart Execution: Kernel Modules and Extensions", PERSISTENCE),
    ("T1547.013", "Boot or Logon Autostart Execution: XDG Autostart Entries", PERSISTENCE),
    ("T1548", "Abuse Elevation Control Mechanism", PRIVILEGE),
    ("T1548.001", "Abuse Elevation Control Mechanism: Setuid and Setgid", PRIVILEGE),
    ("T1548.003", "Abuse Elevation Control Mechanism: Sudo and Sudo Caching", PRIVILEGE),
    ("T1550", "Use Alternate Authentication Material", LATERAL),
    ("T1552", "Unsecured Credentials", CREDENTIAL),
    ("T1552.001", "Unsecured Credentials: Credentials In Files", CREDENTIAL),
    ("T1552.003", "Unsecured Credentials: Bash History", CREDENTIAL),
    ("T1552.004", "Unsecured Credentials: Private Keys", CREDENTIAL),
    ("T1552.005", "Unsecured Credentials: Cloud Instance Metadata API", CREDENTIAL),
    ("T1552.007", "Unsecured Credentials: Container API", CREDENTIAL),
    ("T1553", "Subvert Trust Controls", EVASION),
    ("T1553.004", "Subvert Trust Controls: Install Root Certificate", EVASION),
    ("T1554", "Compromise Host Software Binary", PERSISTENCE),
    ("T1555", "Credentials from Password Stores", CREDENTIAL),
    ("T1555.003", "Credentials from Password Stores: Credentials from Web Browsers", CREDENTIAL),
    ("T1556", "Modify Authentication Process", CREDENTIAL),
    ("T1556.003", "Modify Authentication Process: Pluggable Authentication Modules", CREDENTIAL),
    ("T1557", "Adversary-in-the-Middle", CREDENTIAL),
    ("T1558", "Steal or Forge Kerberos Tickets", CREDENTIAL),
    ("T1559", "Inter-Process Communication", EXECUTION),
    ("T1560", "Archive Collected Data", COLLECTION),
    ("T1561", "Disk Wipe", IMPACT),
    ("T1562", "Impair Defenses", EVASION),
    ("T1562.001", "Impair Defenses: Disable or Modify Tools", EVASION),
    ("T1562.003", "Impair Defenses: Impair Command History Logging", EVASION),
    ("T1562.004", "Impair Defenses: Disable or Modify System Firewall", EVASION),
    ("T1562.006", "Impair Defenses: Indicator Blocking", EVASION),
    ("T1562.012", "Impair Defenses: Disable or Modify Linux Audit System", EVASION),
    ("T1563", "Remote Service Session Hijacking", LATERAL),
    ("T1563.001", "Remote Service Session Hijacking: SSH Hijacking", LATERAL),
    ("T1564", "Hide Artifacts", EVASION),
    ("T1564.001", "Hide Artifacts: Hidden Files and Directories", EVASION),
    ("T1565", "Data Manipulation", IMPACT),
    ("T1566", "Phishing", INITIAL),
    ("T1567", "Exfiltration Over Web Service", EXFILTRATION),
    ("T1567.002", "Exfiltration Over Web Service: Exfiltration to Cloud Storage", EXFILTRATION),
    ("T1568", "Dynamic Resolution", CONTROL),
    ("T1569", "System Services", EXECUTION),
    ("T1569.002", "System Services: Service Execution", EXECUTION),
    ("T1570", "Lateral Tool Transfer", LATERAL),
    ("T1571", "Non-Standard Port", CONTROL),
    ("T1572", "Protocol Tunneling", CONTROL),
    ("T1573", "Encrypted Channel", CONTROL),
    ("T1574", "Hijack Execution Flow", PERSISTENCE),
    ("T1574.006", "Hijack Execution Flow: Dynamic Linker Hijacking", PERSISTENCE),
    ("T1574.007", "Hijack Execution Flow: Path Interception by PATH Environment Variable", PERSISTENCE),
    ("T1580", "Cloud Infrastructure Discovery", DISCOVERY),
    ("T1583", "Acquire Infrastructure", RESOURCE),
    ("T1587.001", "Develop Capabilities: Malware", RESOURCE),
    ("T1588", "Obtain Capabilities", RESOURCE),
    ("T1595", "Active Scanning", RECON),
    ("T1601", "Modify System Image", EVASION),
    ("T1606", "Forge Web Credentials", CREDENTIAL),
    ("T1609", "Container Administration Command", EXECUTION),
    ("T1610", "Deploy Container", EVASION),
    ("T1611", "Escape to Host", PRIVILEGE),
    ("T1612", "Build Image on Host", EVASION),
    ("T1613", "Container and Resource Discovery", DISCOVERY),
    ("T1614", "System Location Discovery", DISCOVERY),
    ("T1619", "Cloud Storage Object Discovery", DISCOVERY),
    ("T1620", "Reflective Code Loading", EVASION),
    ("T1622", "Debugger Evasion", EVASION),
    ("T1651", "Cloud Administration Command", EXECUTION),
    ("T1652", "Device Driver Discovery", DISCOVERY),
    ("T1653", "Power Settings", PERSISTENCE),
    ("T1654", "Log Enumeration", DISCOVERY),
    ("T1657", "Financial Theft", IMPACT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_id_is_well_formed_and_listed_once() {
        assert!(TECHNIQUES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(TECHNIQUES.iter().all(|(id, name, _)| well_formed(id) && !name.is_empty()));
    }

    #[test]
    fn unknown_ids_are_kept_and_malformed_ones_refused() {
        assert_eq!(parse_technique("T1059.004").unwrap().tactic, EXECUTION);
        assert_eq!(parse_technique("T9999").unwrap().name, "");
        for wrong in ["", "T", "1059", "T105", "T1059.4", "T1059.0044", "t1059", "T10590", "TA0002"] {
            assert_eq!(parse_technique(wrong), None, "{wrong}");
        }
    }
}
