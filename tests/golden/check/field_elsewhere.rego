package sentinel.golden

alert contains "to Iran" if {
	input.event.action == "connect"
	input.country_iso_code == "IR"
}
