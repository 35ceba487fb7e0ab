# Completion of ccad, the daemon's own verbs. (ccactl has one made from its commands.)
_ccad() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  case $before in
    --config | --passphrase-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W "debug info warn error" -- "$word") ;;
    ccad | */ccad) mapfile -t COMPREPLY < <(compgen -W "run check keyrings install uninstall start stop restart status version help" -- "$word") ;;
    check) mapfile -t COMPREPLY < <(compgen -W "--config" -- "$word") ;;
    *) [[ ${COMP_WORDS[1]} != run ]] || mapfile -t COMPREPLY < <(compgen -W "--config --passphrase-file --log-level" -- "$word") ;;
  esac
}
complete -F _ccad ccad
