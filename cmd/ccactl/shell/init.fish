# ccad's prompt hook for fish 3.6 and newer. It belongs into
# ~/.config/fish/config.fish:
#   ccactl shell-init fish | source
#
# "builtin" keeps the user's functions out, where fish would let them in.
if status is-interactive # nothing at all for scp, scripts and the like

    set -gu __ccad_env ''
    set -gu __ccad_file ''
    set -gu __ccad_gen '' # the generation that is loaded; compared as text only
    set -q __ccad_names; or set -gu __ccad_names # the variables that we set; __ccad_was_NAME has our value

    # The hook, at each prompt and before each command (for a shell that was idle
    # over a change): no fork while nothing changed.
    function __ccad_hook --on-event fish_prompt --on-event fish_preexec
        set -l gen ''
        test "$CCAD_ENV" = "$__ccad_env"; or __ccad_choose
        test -f "$__ccad_file"; and read gen <$__ccad_file
        test "$gen" = "$__ccad_gen"; or __ccad_load "$gen"
    end

    # __ccad_choose takes up another CCAD_ENV. What is no name reads no file.
    function __ccad_choose
        set -g __ccad_env "$CCAD_ENV"
        set -g __ccad_file ''
        set -g __ccad_gen '?'
        __ccad_valid "$CCAD_ENV"; and set -g __ccad_file @GENERATIONS@/$CCAD_ENV
    end

    function __ccad_valid
        string match -qr '^[a-z0-9][a-z0-9._-]{0,62}\z' -- $argv[1]
    end

    # __ccad_load GENERATION. The generation is noted first, so that a failure is
    # told once and not repeated at every prompt.
    function __ccad_load
        set -l fish_trace # the values are nobody's to trace
        set -g __ccad_gen $argv[1]
        __ccad_forget
        if test "$argv[1]" = 0
            __ccad_mark ' 🔒'
        else if test -n "$argv[1]"; and set -l lines (__ccad_fetch $__ccad_env)
            __ccad_mark
            string join \n -- $lines | builtin source
        else
            __ccad_mark ' ⚠'
        end
    end

    # __ccad_mark [SIGN] says in CCAD_PROMPT, for prompts, what is selected and how
    # it stands. It changes only when something is loaded, so a prompt forks nothing.
    function __ccad_mark
        if test -n "$__ccad_file"
            set -gx CCAD_PROMPT $__ccad_env"$argv[1]"
        else
            set -e CCAD_PROMPT
        end
    end

    # __ccad_fetch NAME, the one fork, prints __ccad_put and __ccad_drop lines.
    function __ccad_fetch
        CCAD_SOCKET=@SOCKET@ @CCACTL@ env $argv[1] --format hook-fish </dev/null
    end

    function __ccad_put
        builtin contains -- $argv[1] @NAMES@; or return 0
        set -gx $argv[1] $argv[2]; or return
        set -gu __ccad_was_$argv[1] $argv[2]
        builtin contains -- $argv[1] $__ccad_names; or set -g -a __ccad_names $argv[1]
        set -gx CCAD_SET "$__ccad_names"
        return 0
    end

    function __ccad_drop
        builtin contains -- $argv[1] @NAMES@; and set -e $argv[1]
        return 0
    end

    # __ccad_forget unsets what we set, as far as the user hasn't changed it since.
    function __ccad_forget
        for name in $__ccad_names
            set -l was __ccad_was_$name
            set -qg $name; and test "$$name" = "$$was"; and set -eg $name
            set -eg $was
        end
        set -g __ccad_names
        set -e CCAD_SET
    end

    # __ccad_inherit takes over what the shell above (or the one that started tmux)
    # had set, so that a lock reaches those values here too.
    function __ccad_inherit
        for name in (string split -n ' ' -- "$CCAD_SET")
            builtin contains -- $name @NAMES@; and set -qg $name; and __ccad_put $name "$$name"
        end
        test -z "$CCAD_SET"; or set -g __ccad_gen '?' # where nothing is selected, they are dropped
    end

    function __ccad_use
        set -l fish_trace
        set -l gen ''
        # read before the fork: a change in between is seen at the next prompt
        __ccad_valid $argv[1]; and test -f @GENERATIONS@/$argv[1]; and read gen <@GENERATIONS@/$argv[1]
        set -l lines (__ccad_fetch $argv[1]); or return # ccactl has said why; the selection stays
        set -gx CCAD_ENV $argv[1]
        __ccad_choose
        test -n "$gen"; and set -g __ccad_gen $gen
        __ccad_forget
        __ccad_mark
        string join \n -- $lines | builtin source
    end

    function ccactl
        if test (builtin count $argv) -ne 2 -o "$argv[1]" != use; or string match -qr '^-.' -- "$argv[2]"
            @CCACTL@ $argv
        else if test "$argv[2]" = -
            set -gx CCAD_ENV '' # set but empty: shells started from here don't take the default
            __ccad_hook
        else
            __ccad_use $argv[2]
        end
    end

    __ccad_inherit
    set -q CCAD_ENV; or test -z @DEFAULT@; or set -gx CCAD_ENV @DEFAULT@
end
