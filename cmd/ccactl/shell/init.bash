# ccad's prompt hook for bash 4.4 and newer. It belongs at the end of ~/.bashrc:
#   eval "$(ccactl shell-init bash)"
#
# "builtin" and "function" keep the user's aliases and functions out. No command
# may fail unguarded, since the shell may run under set -e.
if [[ $- == *i* ]]; then # nothing at all for scp, scripts and the like

builtin declare -gA __ccad_set         # the variables that we set, with our values
__ccad_gen=                            # the generation that is loaded; compared as text only
__ccad_env= __ccad_file=               # the selection that it is of
__ccad_ready= __ccad_armed=            # the first prompt is past; a command is awaited

# The hook: no fork while nothing changed. Before bash 5.2, $(<file) forks.
if (( BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 502 )); then
  function __ccad_hook {
    builtin local gen=
    [[ ${CCAD_ENV-} == "$__ccad_env" ]] || __ccad_choose
    [[ ! -f $__ccad_file ]] || gen=$(<"$__ccad_file") || :
    [[ $gen == "$__ccad_gen" ]] || __ccad_load "$gen"
  }
else
  function __ccad_hook {
    builtin local gen=
    [[ ${CCAD_ENV-} == "$__ccad_env" ]] || __ccad_choose
    [[ ! -f $__ccad_file ]] || IFS= builtin read -r gen <"$__ccad_file" || :
    [[ $gen == "$__ccad_gen" ]] || __ccad_load "$gen"
  }
fi

# __ccad_choose takes up another CCAD_ENV. What is no name reads no file.
function __ccad_choose {
  __ccad_env=${CCAD_ENV-} __ccad_file= __ccad_gen='?'
  ! __ccad_valid "$__ccad_env" || __ccad_file=@GENERATIONS@/$__ccad_env
}

function __ccad_valid {
  [[ $1 == [a-z0-9]* && $1 != *[!a-z0-9._-]* && ${#1} -le 63 ]]
}

# __ccad_load GENERATION. The generation is noted first, so that a failure is
# told once and not repeated at every prompt.
function __ccad_load {
  builtin local -
  set +x # the values are nobody's to trace
  builtin local lines=
  __ccad_gen=$1
  __ccad_forget
  if [[ $1 == 0 ]]; then
    __ccad_mark ' 🔒'
  elif [[ -n $1 ]] && lines=$(__ccad_fetch "$__ccad_env"); then
    __ccad_mark
    builtin eval "$lines" || :
  else
    __ccad_mark ' ⚠'
  fi
}

# __ccad_mark [SIGN] says in CCAD_PROMPT, for prompts, what is selected and how it
# stands. It changes only when something is loaded, so a prompt forks nothing.
function __ccad_mark {
  if [[ -n $__ccad_file ]]; then
    builtin export "CCAD_PROMPT=$__ccad_env${1-}"
  else
    builtin unset -v CCAD_PROMPT
  fi
}

# __ccad_fetch NAME, called in $(…), the one fork, prints __ccad_put and __ccad_drop lines.
function __ccad_fetch {
  CCAD_SOCKET=@SOCKET@ builtin exec @CCACTL@ env "$1" --format hook-sh </dev/null
}

function __ccad_put {
  builtin local IFS=' '
  [[ " @NAMES@ " == *" $1 "* ]] || builtin return 0
  ! builtin export "$1=$2" || __ccad_set[$1]=$2
  builtin export "CCAD_SET=${!__ccad_set[*]}"
}

function __ccad_drop {
  [[ " @NAMES@ " != *" $1 "* ]] || builtin unset -v "$1" || :
}

# __ccad_forget unsets what we set, as far as the user hasn't changed it since.
function __ccad_forget {
  builtin local name
  for name in "${!__ccad_set[@]}"; do
    [[ ${!name-} != "${__ccad_set[$name]}" ]] || builtin unset -v "$name" || :
  done
  __ccad_set=()
  builtin unset -v CCAD_SET
}

# __ccad_inherit takes over what the shell above (or the one that started tmux)
# had set, so that a lock reaches those values here too.
function __ccad_inherit {
  builtin local name
  for name in @NAMES@; do
    [[ " ${CCAD_SET-} " != *" $name "* || -z ${!name+x} ]] || __ccad_set[$name]=${!name}
  done
  [[ -z ${CCAD_SET-} ]] || __ccad_gen='?' # where nothing is selected, they are dropped
}

function __ccad_use {
  builtin local -
  set +x
  builtin local gen= lines= file=@GENERATIONS@/$1
  # read before the fork: a change in between is seen at the next prompt
  ! __ccad_valid "$1" || [[ ! -f $file ]] || IFS= builtin read -r gen <"$file" || :
  lines=$(__ccad_fetch "$1") || builtin return # ccactl has said why; the selection stays
  builtin export "CCAD_ENV=$1"
  __ccad_choose
  __ccad_gen=${gen:-?}
  __ccad_forget
  __ccad_mark
  builtin eval "$lines"
}

function ccactl {
  if [[ $# -ne 2 || $1 != use || $2 == -?* ]]; then
    @CCACTL@ "$@"
  elif [[ $2 == - ]]; then
    builtin export CCAD_ENV= # set but empty: shells started from here don't take the default
    __ccad_hook
  else
    __ccad_use "$2"
  fi
}

# The hook before each command, too: the DEBUG trap runs it once per prompt and
# hands $_ on.
function __ccad_preexec {
  __ccad_armed=
  __ccad_hook
}

# __ccad_first runs at the first prompt, when the rc files are through. Its
# argument is the user's DEBUG trap, which only the top level can see; that trap
# stays alone, and so do those of frameworks that run this from a function.
function __ccad_first {
  __ccad_ready=1
  if [[ -n ${bash_preexec_imported-}${__bp_imported-} ]]; then
    [[ ${preexec_functions[*]-} == *__ccad_hook* ]] || preexec_functions+=(__ccad_hook)
  elif [[ ${#FUNCNAME[@]} -eq 1 && ( -z $1 || $1 == 'trap -- - DEBUG' ) ]]; then # so posix mode says none
    builtin trap '[[ -z $__ccad_armed ]] || __ccad_preexec "$_"' DEBUG
    __ccad_last __ccad_armed=1 # behind the rest, which is no command of the user's
    __ccad_armed=1
  fi
}

# __ccad_last COMMAND puts COMMAND behind what is in PROMPT_COMMAND. In an array
# never first: PROMPT_COMMAND=… in an rc file replaces that element.
function __ccad_last {
  if (( BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501 )); then
    PROMPT_COMMAND=("${PROMPT_COMMAND[@]:-:}" "$1")
  else
    PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}$1
  fi
}

__ccad_inherit
[[ -n ${CCAD_ENV+x} || -z @DEFAULT@ ]] || builtin export CCAD_ENV=@DEFAULT@
[[ ${PROMPT_COMMAND[*]-} == *__ccad_* ]] ||
  __ccad_last '__ccad_hook; [[ -n $__ccad_ready ]] || __ccad_first "$(builtin trap -p DEBUG)"'

fi
