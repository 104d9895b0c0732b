# completion.zsh DIRECTORY LINE…: types each line and a Tab to a shell that has the completions of
# DIRECTORY, and prints what the line has become.
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1= PS2= RPS1= TERM=dumb; unsetopt zle_bracketed_paste prompt_cr beep; stty -echo; fpath=($1 \$fpath)
autoload -Uz compinit && compinit -u -D; LISTMAX=10000; bindkey '^I' complete-word
show() { print -r -- \"<line>\$BUFFER</line>\"; BUFFER=; zle accept-line }; zle -N show; bindkey '^X' show; print '<rea''dy>'"
shift
zpty -r z got '*<ready>*'
for line; do
	zpty -w -n z "$line"$'\t\x18'
	zpty -r z got '*</line>*'
	got=${got##*<line>}
	print -r -- "${got%%</line>*}"
done
zpty -d z
