module hort/tools

go 1.15

require (
	github.com/sciabarracom/openwhisk-cli v1.2.1
	github.com/sciabarracom/openwhisk-wskdeploy v1.2.1
)
