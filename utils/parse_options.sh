# shellcheck shell=bash
# Sourced by scripts after their variables have defaults: the option --a-b VALUE sets the variable a_b.
#
# --config FILE is sourced before the other options are read, so that the command line wins over it; in a script
# that has a variable `config` of its own it is an option like any other.
# --help prints $help_message. What is left on the command line stays in "$@".
# A variable must exist already, and takes true or false only if that is what it holds.
# A script that has an array `other_options` calls another with them: options that it does not know, --config too,
# are added there with their values.

__options_fail() { # MESSAGE
  echo "$0: $1" >&2
  exit 1
}

# Whether a word is an option of this script, and so not the value of the one before it.
__options_is_known() {
  local name=${1#--}
  name=${name%%=*}
  name=${name//-/_}
  [[ $1 == --* && $name =~ ^[A-Za-z][A-Za-z0-9_]*$ && -n ${!name+set} ]]
}

__options_set() { # NAME VALUE OPTION
  __options_is_known "--$1" || __options_fail "unknown option $3; see --help"
  if [[ ${!1} =~ ^(true|false)$ && ! $2 =~ ^(true|false)$ ]]; then
    __options_fail "option $3 takes true or false, not '$2'"
  fi
  printf -v "$1" %s "$2"
}

# Both forms, --name value and --name=value; sets __option, __value and __words, how many words that is.
__options_split() {
  __option=${1%%=*}
  if [[ $1 == *=* ]]; then
    __value=${1#*=} __words=1
  elif [[ $# -ge 2 ]] && ! __options_is_known "$2"; then
    __value=$2 __words=2
  else
    __options_fail "option $1 needs a value"
  fi
}

__options_source_config() {
  while [[ ${1-} == --?* ]]; do
    [[ $1 != --help ]] || return 0
    __options_split "$@"
    shift "$__words"
    if [[ $__option == --config ]]; then
      [[ -r $__value ]] || __options_fail "cannot read the file of --config: $__value"
      # shellcheck disable=SC1090
      . "$__value" || __options_fail "the file of --config failed: $__value"
    fi
  done
}
__options_pass_on() {
  declare -p other_options &> /dev/null
}

[[ -n ${config+set} ]] || __options_pass_on || __options_source_config "$@"

while [[ ${1-} == -* && $1 != - ]]; do
  case $1 in
    --help | -h)
      printf '%s\n' "${help_message:-no help for $0}"
      exit 0
      ;;
    --)
      shift
      break
      ;;
    --?*)
      __options_split "$@"
      __name=${__option#--}
      if __options_pass_on && ! __options_is_known "$__option"; then
        other_options+=("${@:1:__words}")
      elif [[ $__option != --config || -n ${config+set} ]]; then
        __options_set "${__name//-/_}" "$__value" "$__option"
      fi
      shift "$__words"
      ;;
    *) __options_fail "unknown option $1; see --help" ;;
  esac
done
unset __option __value __words __name
