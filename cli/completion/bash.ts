import type { CompletedCommand } from './completion-model.js'
import { shellLookups } from './shell-lookups.js'

/** A completion script for bash 4 and later. */
export function bashCompletion(commands: readonly CompletedCommand[]): string {
  return `# bash completion for cairn, printed by: cairn completion bash

${shellLookups(commands)}
${driver}`
}

// Shell code: path is the command so far, place the number of arguments behind it.
const driver = `_cairn() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' place=0 option='' word index
  local names=(cairn __complete)
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    if [[ $word == '=' ]]; then
      continue
    elif [[ -n $option ]]; then
      [[ $option == --repo ]] && names=(cairn --repo "$word" __complete)
      option=''
    elif [[ $word == -* ]]; then
      { _cairn_value "$path" "$word" || _cairn_value '' "$word"; } > /dev/null && option=$word
    elif ((place == 0)) && _cairn_commands "$path" | cut -f 1 | grep -qxF -- "$word"; then
      path=\${path:+$path }$word
    else
      place=$((place + 1))
    fi
  done

  local kind lines=()
  if [[ -n $option ]]; then
    [[ $current == '=' ]] && current=''
    mapfile -t lines < <(_cairn_value "$path" "$option" || _cairn_value '' "$option")
  elif [[ $current == -* ]]; then
    lines=(words $({ _cairn_options "$path"; [[ -z $path ]] || _cairn_options ''; } | cut -f 1))
  elif mapfile -t lines < <(_cairn_commands "$path" | cut -f 1) && ((\${#lines[@]} > 0)); then
    lines=(words "\${lines[@]}")
  else
    mapfile -t lines < <(_cairn_argument "$path" "$place")
  fi
  kind=\${lines[0]:-nothing}

  COMPREPLY=()
  case $kind in
    words) mapfile -t COMPREPLY < <(compgen -W "\${lines[*]:1}" -- "$current") ;;
    tags | remotes | tags-and-files)
      mapfile -t COMPREPLY < <(
        compgen -W "$("\${names[@]}" "\${kind%%-*}" 2> /dev/null)" -- "$current"
      )
      ;;
  esac
  case $kind in
    files | tags-and-files)
      compopt -o filenames 2> /dev/null
      mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
      ;;
  esac
}
complete -F _cairn cairn
`
