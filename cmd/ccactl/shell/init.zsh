# ccad's prompt hook for zsh. It belongs at the end of ~/.zshrc:
#   eval "$(ccactl shell-init zsh)"
#
# "builtin" and "function" keep the user's aliases and functions out. The hook
# holds under any options; what runs rarely sets its own (emulate).
if [[ -o interactive ]]; then # nothing at all for scp, scripts and the like

\builtin typeset -gA __ccad_set       # the variables that we set, with our values
\builtin typeset -g __ccad_env= __ccad_file=
\builtin typeset -g __ccad_gen=       # the generation that is loaded; compared as text only

# The hook: no fork while nothing changed ($(<file) forks nothing).
function __ccad_hook {
  \builtin local gen=
  [[ "${CCAD_ENV-}" == "$__ccad_env" ]] || __ccad_choose
  [[ ! -f "$__ccad_file" ]] || gen="$(<"$__ccad_file")"
  [[ "$gen" == "$__ccad_gen" ]] || __ccad_load "$gen"
}

# __ccad_choose takes up another CCAD_ENV. What is no name reads no file.
function __ccad_choose {
  \builtin emulate -L zsh
  __ccad_env="${CCAD_ENV-}" __ccad_file= __ccad_gen='?'
  ! __ccad_valid "$__ccad_env" || __ccad_file=@GENERATIONS@/"$__ccad_env"
}

function __ccad_valid {
  \builtin emulate -L zsh
  [[ "$1" == [a-z0-9]* && "$1" != *[^a-z0-9._-]* && ${#1} -le 63 ]]
}

# __ccad_load GENERATION. The generation is noted first, so that a failure is
# told once and not repeated at every prompt.
function __ccad_load {
  \builtin emulate -L zsh -o no_xtrace # the values are nobody's to trace
  \builtin local lines=
  __ccad_gen="$1"
  __ccad_forget
  if [[ "$1" == 0 ]]; then
    __ccad_mark ' 🔒'
  elif [[ -n "$1" ]] && lines="$(__ccad_fetch "$__ccad_env")"; then
    __ccad_mark
    \builtin eval "$lines"
  else
    __ccad_mark ' ⚠'
  fi
}

# __ccad_mark [SIGN] says in CCAD_PROMPT, for prompts, what is selected and how it
# stands. It changes only when something is loaded, so a prompt forks nothing.
function __ccad_mark {
  if [[ -n "$__ccad_file" ]]; then
    \builtin export "CCAD_PROMPT=$__ccad_env${1-}"
  else
    \builtin unset CCAD_PROMPT
  fi
}

# __ccad_fetch NAME, called in $(…), the one fork, prints __ccad_put and __ccad_drop lines.
function __ccad_fetch {
  CCAD_SOCKET=@SOCKET@ \exec @CCACTL@ env "$1" --format hook-sh </dev/null
}

function __ccad_put {
  [[ " @NAMES@ " == *" $1 "* ]] || \builtin return 0
  ! \builtin export "$1=$2" || __ccad_set[$1]="$2"
  \builtin export "CCAD_SET=${(kj: :)__ccad_set}"
}

function __ccad_drop {
  [[ " @NAMES@ " != *" $1 "* ]] || \builtin unset "$1"
}

# __ccad_forget unsets what we set, as far as the user hasn't changed it since.
function __ccad_forget {
  \builtin emulate -L zsh
  \builtin local name
  for name in "${(@k)__ccad_set}"; do
    [[ "${(P)name-}" != "${__ccad_set[$name]}" ]] || \builtin unset "$name"
  done
  __ccad_set=()
  \builtin unset CCAD_SET
}

# __ccad_inherit takes over what the shell above (or the one that started tmux)
# had set, so that a lock reaches those values here too.
function __ccad_inherit {
  \builtin emulate -L zsh
  \builtin local name
  for name in @NAMES@; do
    [[ " ${CCAD_SET-} " != *" $name "* || -z "${(P)name+x}" ]] || __ccad_set[$name]="${(P)name}"
  done
  [[ -z "${CCAD_SET-}" ]] || __ccad_gen='?' # where nothing is selected, they are dropped
}

function __ccad_use {
  \builtin emulate -L zsh -o no_xtrace
  \builtin local gen= lines= file=@GENERATIONS@/"$1"
  # read before the fork: a change in between is seen at the next prompt
  ! __ccad_valid "$1" || [[ ! -f "$file" ]] || gen="$(<"$file")"
  lines="$(__ccad_fetch "$1")" || \builtin return # ccactl has said why; the selection stays
  \builtin export "CCAD_ENV=$1"
  __ccad_choose
  __ccad_gen="${gen:-?}"
  __ccad_forget
  __ccad_mark
  \builtin eval "$lines"
}

function ccactl {
  if [[ $# -ne 2 || "$1" != use || "$2" == -?* ]]; then
    @CCACTL@ "$@"
  elif [[ "$2" == - ]]; then
    \builtin export CCAD_ENV= # set but empty: shells started from here don't take the default
    __ccad_hook
  else
    __ccad_use "$2"
  fi
}

# At each prompt, and before each command, for a shell that was idle over a change.
function __ccad_start {
  \builtin emulate -L zsh
  \builtin typeset -ga precmd_functions preexec_functions
  precmd_functions=(${precmd_functions:#__ccad_hook} __ccad_hook)
  preexec_functions=(${preexec_functions:#__ccad_hook} __ccad_hook)
  [[ -n "${CCAD_ENV+x}" || -z @DEFAULT@ ]] || \builtin export CCAD_ENV=@DEFAULT@
}

__ccad_inherit
__ccad_start

fi
