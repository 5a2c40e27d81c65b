package sentinel.golden

deny contains "listed" if {
	response := http.send({"method": "GET", "url": "https://a.example"})
	response.status_code == 200
}
