# Installs what waxseal's demo or tests need on Debian 12. To be sourced by a
# bash script that runs as root:
#
#     . packaging/setup.sh
#     setup demo    # or: setup test
#
# Afterwards `go` on the PATH is one that builds waxseal. It may be run any
# number of times; where everything is there already it asks no package archive.

# The toolchain that an older Go fetches as a Go module.
waxseal_toolchain=go1.26.8

setup() {
	local packages missing=() name
	case ${1:-} in
	demo) packages="ca-certificates git openssl gnupg postfix" ;;
	test) packages="ca-certificates git openssl gnupg gpgsm postfix m4 gcc libc6-dev
		libwrap0 libdb5.3 libnsl2 libldap-2.5-0 libsasl2-2 libsasl2-modules liblockfile1
		libnss3-tools default-jdk-headless libbcmail-java sq sqop gosop rnp"
		# Debian's npm comes with hundreds of packages, other builds of Node.js
		# bring their own.
		command -v node >/dev/null && command -v npm >/dev/null || packages+=" nodejs npm" ;;
	*) echo "setup: say 'setup demo' or 'setup test'" >&2; return 2 ;;
	esac
	for name in $packages; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
	done
	if [ ${#missing[@]} -gt 0 ]; then
		if [ "$(id -u)" != 0 ]; then
			echo "setup: run this as root, or install: ${missing[*]}" >&2
			return 1
		fi
		echo "Installing ${missing[*]}"
		setup_apt "${missing[@]}" || return 1
	fi
	setup_go
}

# setup_apt installs packages without asking and without starting a service:
# an empty answer to Postfix's question leaves its own configuration alone.
setup_apt() {
	local log status=0
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	{
		apt-get update -q &&
			case " $* " in *" postfix "*)
				apt-get install -y -q --no-install-recommends debconf &&
					echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
				;;
			esac &&
			setup_no_services apt-get install -y -q --no-install-recommends "$@"
	} </dev/null >"$log" 2>&1 || status=$?
	if [ "$status" != 0 ]; then
		cat "$log" >&2
		echo "setup: apt-get could not install: $*" >&2
	fi
	rm -f "$log"
	return "$status"
}

# setup_no_services runs a command while packages may not start services.
setup_no_services() {
	local rules=/usr/sbin/policy-rc.d status=0
	if [ -e "$rules" ]; then
		"$@"
		return
	fi
	printf '#!/bin/sh\nexit 101\n' >"$rules" && chmod 755 "$rules"
	"$@" || status=$?
	rm -f "$rules"
	return "$status"
}

# setup_go makes a Go 1.26 or newer the `go` of this shell: the one that is
# there, else a newer toolchain fetched by an older Go (1.21 and up can), else
# the same with the Go of Debian's backports.
setup_go() {
	setup_go_is 26 && return
	setup_go_fetch && return
	local release uri
	release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# The archive that this machine uses already has the backports too.
	uri=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
		awk -v r="$release" '$2 == r { print $1; exit }')
	if [ "$(id -u)" = 0 ] && [ "$release" = bookworm ] && [ -n "$uri" ]; then
		echo "Installing Go"
		echo "deb $uri $release-backports main" >/etc/apt/sources.list.d/waxseal-backports.list
		setup_apt golang-1.23-go || return 1
		export PATH=/usr/lib/go-1.23/bin:$PATH
		setup_go_fetch && return
	fi
	echo "setup: Go 1.26 or newer is needed: install it from https://go.dev/dl/ and put its bin folder on the PATH" >&2
	return 1
}

# setup_go_is reports whether `go` is of version 1.N or newer.
setup_go_is() {
	local version minor
	version=$(cd / && GOTOOLCHAIN=${GOTOOLCHAIN:-local} go env GOVERSION 2>/dev/null) || return 1
	minor=${version#go1.}
	minor=${minor%%[!0-9]*}
	[ -n "$minor" ] && [ "$minor" -ge "$1" ]
}

# setup_go_fetch lets an older `go` fetch the toolchain.
setup_go_fetch() {
	setup_go_is 21 || return 1
	export GOTOOLCHAIN=$waxseal_toolchain
	setup_go_is 26 && return
	unset GOTOOLCHAIN
	return 1
}
