# completion.bash FILE LINE: what the completion in FILE offers at the end of LINE, in a line,
# sorted, each as the word before the cursor would be then.
. /usr/share/bash-completion/bash_completion
. "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9 COMP_KEY=9 COMP_WORDS=()
# As readline: = and : are words of their own.
rest=$2
while [ -n "$rest" ]; do
	word=${rest%%[ =:]*}
	[ -z "$word" ] || COMP_WORDS+=("$word")
	rest=${rest#"$word"}
	case $rest in
	[=:]*) COMP_WORDS+=("${rest:0:1}") ;;
	esac
	rest=${rest:1}
done
case $2 in
*[\ =:]) COMP_WORDS+=("") ;;
esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
spec=$(complete -p "${COMP_WORDS[0]}") && spec=${spec#*-F } && spec=${spec%% *} || exit
case ${COMP_WORDS[COMP_CWORD]} in
[=:]) last= ;;
*) last=${COMP_WORDS[COMP_CWORD]} ;;
esac
COMPREPLY=()
"$spec" "${COMP_WORDS[0]}" "$last" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ' | sed 's/ *$//'
