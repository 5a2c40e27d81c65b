package sentinel.cluster_discovery_test

import data.sentinel.cluster_discovery.alert
import data.sentinel.fixtures as fx

kubectl := fx.exec("/usr/bin/bash", "/usr/local/bin/kubectl", ["kubectl", "get", "secrets", "-A"])

test_kubectl_in_a_container if {
	alert == {"cluster client in a container: kubectl get secrets -A"} with input as fx.in_container(kubectl)
}

test_kubectl_below_a_server if {
	alert == {"cluster client below a server: kubectl get secrets -A"} with input as fx.under(kubectl, "/usr/sbin/nginx")
}

test_administrator_uses_kubectl if {
	count(alert) == 0 with input as kubectl
}

test_shell_in_a_container if {
	count(alert) == 0 with input as data.sentinel.events.container_exec
}

test_curl_asks_the_kubelet if {
	count(alert) == 1 with input as fx.connect("/usr/bin/curl", "10.0.0.4", 10250)
	count(alert) == 1 with input as fx.connect("/usr/bin/bash", "10.0.0.4", 2375)
}

test_api_server_asks_the_kubelet if {
	count(alert) == 0 with input as fx.connect("/usr/local/bin/kube-apiserver", "10.0.0.4", 10250)
}

test_curl_elsewhere if {
	count(alert) == 0 with input as data.sentinel.events.connect
}
