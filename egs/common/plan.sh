# What the model of --model asks for, sourced by options.sh: what later stages need is looked at before any runs.
# shellcheck shell=bash disable=SC2034,SC2154
model_config=conf/$model.yaml
[ -e "$model_config" ] || model_config=../common/conf/$model.yaml
[ -e "$model_config" ] || { echo "$0: no model $model (there are: $models)" >&2; exit 1; }
model_options=(--config "$model_config" ${config:+--overlay "$config"} --set "$set")
plan=$(sertk-make-experiment "${model_options[@]}" --plan)   # `tag NAME`, `data NAME` for all that is needed, `encoder NAME`
encoder=$(sed -n 's/^encoder //p' <<< "$plan")   # whose layers the model takes
[[ -z $asr_exp || $encoder = recogniser ]] ||
  { echo "$0: --asr_exp $asr_exp: $model takes no layers of a speech recogniser of ours" >&2; exit 1; }
check_gpu 2
if [[ -n $encoder && ( $encoder != recogniser || -n $asr_exp ) && $stage -le 3 && $stage -le $stop_stage && $stop_stage -ge 2 ]]; then
  sertk-make-experiment "${model_options[@]}" --plan --with_encoder ${asr_exp:+--asr_exp "$asr_exp"} > /dev/null
fi
