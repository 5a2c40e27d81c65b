# METADATA
# title: Cluster and container discovery
# description: What runs beside this, asked from where no administrator works.
package sentinel.cluster_discovery

import data.sentinel.lib.programs
import data.sentinel.lib.programs.by_network_service
import data.sentinel.lib.programs.command_line
import data.sentinel.lib.programs.transfer_tools

clients := {"kubectl", "oc", "helm", "crictl", "ctr", "nerdctl", "docker", "podman", "etcdctl", "kubeletctl"}

# METADATA
# title: Cluster client in a container
# description: Images of applications bring no kubectl. Continuous integration and operators do; allow their images.
# custom:
#   id: cluster-client-in-container
#   severity: medium
#   mitre: [T1613, T1609]
#   maturity: incubating
alert contains msg if {
	input.event.action == "exec"
	input.container.id != ""
	programs.base(input.process.executable) in clients
	msg := sprintf("cluster client in a container: %s", [command_line])
}

# METADATA
# title: Cluster client below a server
# description: A web server or database starts kubectl, docker or one of their like on the host.
# custom:
#   id: cluster-client-by-network-service
#   severity: high
#   mitre: [T1613, T1190]
#   maturity: stable
alert contains msg if {
	input.event.action == "exec"
	not input.container.id
	programs.base(input.process.executable) in clients
	by_network_service
	msg := sprintf("cluster client below a server: %s", [command_line])
}

# METADATA
# title: Kubelet, etcd or container API asked by a tool
# description: These ports answer with secrets and start containers. Their clients are programs of the cluster, not shells and download tools.
# custom:
#   id: cluster-port-by-tool
#   severity: high
#   mitre: [T1613, T1552.007]
#   maturity: stable
alert contains msg if {
	input.event.action == "connect"
	input.destination.port in {2375, 2379, 10250, 10255}
	general_tool
	msg := sprintf("%s connects to %s port %v", [input.process.executable, input.destination.ip, input.destination.port])
}

general_tool if programs.name(input.process) in transfer_tools

general_tool if programs.is_shell(input.process)
