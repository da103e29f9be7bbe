"""The page side of `explore.frames`: style, markup and the script that swaps the frames.

The script needs no library, no network and no element outside its figure, and sets up each copy of an explorer once:
JupyterLab may show one output in two views.
"""

from string import Template

HTML = Template("""<figure class="bt-figure bt-explorer" data-bt="$ident"><style>$style</style>
$picture
<div class="bt-controls" hidden><button type="button">Play</button><label><span>$label</span>
<input type="range" min="0" max="$last" step="1" value="0" aria-valuetext="$text"></label>
<output aria-live="polite">$text</output></div>$caption
<script>$script</script></figure>""")

STYLE = """html[data-theme=dark] .bd-content div.cell_output .text_html:has(.bt-figure){background:none;color:inherit;padding:0}
.bt-figure{margin:0 0 1rem;color:inherit}
.bt-controls{display:flex;flex-wrap:wrap;align-items:center;gap:.25rem 1rem;max-width:${width}px;text-align:left}
.bt-controls[hidden]{display:none}
.bt-controls button,.bt-controls input,.bt-controls label{min-height:44px;box-sizing:border-box}
.bt-controls button{min-width:5.5em;color:inherit;background:none;font:inherit;border:1px solid;border-radius:6px;cursor:pointer}
.bt-controls label{display:flex;flex:1 1 12rem;align-items:center;gap:.75rem;margin:0;font:inherit}
.bt-controls input{flex:1;width:100%;min-width:8rem;margin:0;accent-color:#0072b2;cursor:pointer}
.bt-controls output{min-width:4em;font-variant-numeric:tabular-nums}
.bt-controls button:focus-visible,.bt-controls input:focus-visible{outline:3px solid #0072b2;outline-offset:2px}
@media print{.bt-explorer .bt-controls{display:none}}"""

SCRIPT = """(function(){
var data=$data;
function setUp(figure){
  var svg=figure.querySelector("svg"),controls=figure.querySelector(".bt-controls"),range=figure.querySelector("input"),
      button=figure.querySelector("button"),output=figure.querySelector("output"),last=data.frames.length-1,timer=null;
  var calm=window.matchMedia("(prefers-reduced-motion: reduce)");
  function show(i){
    range.value=i;
    svg.innerHTML=data.frames[i].map(function(k){return data.pool[k];}).join("");
    svg.setAttribute("aria-label",data.alts[i]);
    range.setAttribute("aria-valuetext",data.texts[i]);
    output.textContent=data.texts[i];
  }
  function idle(){button.textContent=calm.matches?"Next":"Play";}
  function stop(){clearInterval(timer);timer=null;output.setAttribute("aria-live","polite");idle();}
  function next(){show(+range.value<last?+range.value+1:0);}
  function tick(){if(!figure.isConnected){stop();return;}next();if(+range.value===last)stop();}
  function play(){
    if(+range.value===last)show(0);
    button.textContent="Pause";
    output.setAttribute("aria-live","off");
    timer=setInterval(tick,$interval);
  }
  range.addEventListener("input",function(){stop();show(+range.value);});
  button.addEventListener("click",function(){if(timer)stop();else if(calm.matches)next();else play();});
  calm.addEventListener("change",stop);
  figure.dataset.ready="";
  controls.hidden=false;
  idle();
  show(+range.value);
}
document.querySelectorAll('.bt-explorer[data-bt="$ident"]:not([data-ready])').forEach(setUp);
})();"""
