import type { CompletedCommand } from './completion-model.js'
import { shellLookups } from './shell-lookups.js'

/** A completion script for zsh: a file \`_cairn\` in a folder of fpath, or sourced. */
export function zshCompletion(commands: readonly CompletedCommand[]): string {
  return `#compdef cairn
# zsh completion for cairn, printed by: cairn completion zsh

${shellLookups(commands)}
${driver}`
}

// Shell code: path is a special variable in zsh, so the command so far is "at".
const driver = `_cairn_describe() {
  local -a described
  local line
  while IFS= read -r line; do
    described+=("\${line%%$'\\t'*}:\${line#*$'\\t'}")
  done
  _describe "$1" described
}

_cairn() {
  local at='' place=0 option='' word index
  local -a names=(cairn __complete)
  for ((index = 2; index < CURRENT; index++)); do
    word=\${words[index]}
    if [[ -n $option ]]; then
      [[ $option == --repo ]] && names=(cairn --repo "$word" __complete)
      option=''
    elif [[ $word == -* ]]; then
      { _cairn_value "$at" "$word" || _cairn_value '' "$word" } > /dev/null && option=$word
    elif ((place == 0)) && _cairn_commands "$at" | cut -f 1 | grep -qxF -- "$word"; then
      at=\${at:+$at }$word
    else
      place=$((place + 1))
    fi
  done

  local -a lines
  if [[ -n $option ]]; then
    lines=("\${(@f)$(_cairn_value "$at" "$option" || _cairn_value '' "$option")}")
  elif [[ \${words[CURRENT]} == -* ]]; then
    _cairn_describe option < <(_cairn_options "$at"; [[ -z $at ]] || _cairn_options '')
    return
  elif _cairn_commands "$at" > /dev/null; then
    _cairn_describe command < <(_cairn_commands "$at")
    return
  else
    lines=("\${(@f)$(_cairn_argument "$at" "$place")}")
  fi

  local kind=\${lines[1]:-nothing}
  case $kind in
    words) compadd -- "\${(@)lines[2,-1]}" ;;
    tags | remotes | tags-and-files)
      compadd -- \${(f)"$("\${names[@]}" "\${kind%%-*}" 2> /dev/null)"}
      ;;
  esac
  case $kind in
    files | tags-and-files) _files ;;
  esac
}

# As a file of fpath this runs as the function itself; sourced, it registers it.
if [[ \${funcstack[1]:-} == _cairn ]]; then
  _cairn "$@"
elif (( $+functions[compdef] )); then
  compdef _cairn cairn
fi
`
