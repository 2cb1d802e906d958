// SPDX-License-Identifier: MIT
/** The style sheet of the report: one column of text, one wide table, both colour schemes, no external asset. */

export const STYLE = `
:root{color-scheme:light dark;
--paper:#fbfaf7;--ink:#22211e;--soft:#5d5a53;--rule:#d9d5cb;--panel:#f3f1ea;--link:#1f5a86;--focus:#1f5a86;
--clean:#e3efe5;--clean-ink:#205a32;--contained:#e2ebf4;--contained-ink:#1f4d78;
--stray:#f8e9c8;--stray-ink:#6b4700;--corrupt:#f6d9d3;--corrupt-ink:#8a1f12;
--c-granted:#4b7d58;--c-ungranted:#a86a00;--c-bypassed:#b23a2a;--c-undecoded:#7d5ba6;--c-aborted:#3c6fa3;--c-dropped:#8a867c}
@media (prefers-color-scheme:dark){:root{
--paper:#1a1a1c;--ink:#e6e3dc;--soft:#a8a49a;--rule:#3a3935;--panel:#232326;--link:#8dbfe6;--focus:#8dbfe6;
--clean:#1f3526;--clean-ink:#a5d8b3;--contained:#1e3044;--contained-ink:#a6cdf0;
--stray:#43340f;--stray-ink:#f1cf82;--corrupt:#4d211b;--corrupt-ink:#ffb9ac;
--c-granted:#79b389;--c-ungranted:#dba64a;--c-bypassed:#e8786a;--c-undecoded:#b79be0;--c-aborted:#7fb0de;--c-dropped:#8f8b82}}
*{box-sizing:border-box}
html{scroll-behavior:smooth}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 "Iowan Old Style","Palatino Linotype",Palatino,"Book Antiqua",Georgia,serif;overflow-wrap:break-word}
main,header,footer{max-width:76rem;margin:0 auto;padding:0 1.25rem}
.wide{width:min(92rem,100vw - 2.5rem);margin-left:50%;transform:translateX(-50%)}
header{padding-top:2.5rem}
h1{font-size:1.9rem;line-height:1.2;font-weight:600;margin:0 0 .6rem;max-width:34ch}
h2{font-size:1.3rem;font-weight:600;margin:2.6rem 0 .6rem}
h3{font-size:1.05rem;font-weight:600;margin:1.6rem 0 .4rem}
p,.prose{max-width:70ch}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
.quiet{color:var(--soft);font-size:.9rem}
.sans,table,.lane,.badge,code,.legend,.facts{font-family:system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
code,pre{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.84em}
pre{background:var(--panel);border:1px solid var(--rule);border-radius:4px;padding:.6rem .8rem;margin:.5rem 0;overflow-x:auto}
.box{overflow-x:auto;border:1px solid var(--rule);border-radius:6px;background:var(--panel)}
table{border-collapse:separate;border-spacing:0;font-size:.84rem;font-variant-numeric:tabular-nums}
.matrix{width:100%}
th{font-weight:600;text-align:left}
.matrix th,.matrix td{padding:.2rem .12rem}
.matrix{font-size:.8rem}
.matrix thead th{background:var(--panel);font-size:.76rem}
.matrix thead tr:first-child th{padding-top:.6rem;font-size:.9rem}
.matrix thead th.way{font-weight:400;color:var(--soft)}
.matrix th[scope=row],.matrix thead th.corner{position:sticky;left:0;background:var(--panel);z-index:1;white-space:nowrap;padding-left:.8rem;font-weight:400}
.matrix tbody th[scope=rowgroup]{position:sticky;left:0;background:var(--panel);padding:.9rem .35rem .2rem .8rem}
.matrix .edge{border-left:1px solid var(--rule)}

.cell{display:block;scroll-margin:4rem 10rem;padding:.24rem .26rem;border-radius:4px;text-decoration:none;white-space:nowrap;border:1px solid transparent}
.cell:hover{border-color:currentColor}
.clean{background:var(--clean);color:var(--clean-ink)}.contained{background:var(--contained);color:var(--contained-ink)}
.stray{background:var(--stray);color:var(--stray-ink)}.corrupt{background:var(--corrupt);color:var(--corrupt-ink);font-weight:600}
.mark{display:inline-block;width:1.15em}
.badge{display:inline-block;padding:.1rem .5rem;border-radius:4px;font-size:.85rem;white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:.35rem 1.4rem;list-style:none;margin:.9rem 0 0;padding:0;font-size:.86rem}
.answer{max-width:76ch;padding-left:1.2rem}.answer li{padding:.15rem 0}
details{margin:.8rem 0;font-size:.86rem}summary{cursor:pointer}
.positions{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(21rem,100%),1fr));gap:1.1rem;margin:1rem 0;padding:0;list-style:none}
.positions>li{border-top:2px solid var(--rule);padding-top:.7rem}
.positions h3{margin:0 0 .15rem}
.findings{list-style:none;margin:.5rem 0 0;padding:0;font-size:.93rem}
.findings li{display:grid;grid-template-columns:3.4rem 4.6rem 1fr;gap:.6rem;padding:.16rem 0;align-items:start}
.weight{font:.84rem/1.8 system-ui,"Segoe UI",Roboto,Arial,sans-serif;color:var(--soft)}
.count{font-family:system-ui,"Segoe UI",Roboto,Arial,sans-serif;font-size:.84rem;text-align:right;font-variant-numeric:tabular-nums;padding-top:.12rem;white-space:nowrap}
.order td,.order th{padding:.3rem .8rem;border-top:1px solid var(--rule);vertical-align:top}
.order{width:100%}.order thead th{border-top:0}
.detail{display:none;border:1px solid var(--rule);border-radius:6px;padding:.2rem 1.2rem 1.2rem;margin:1.2rem 0;scroll-margin-top:1rem;background:var(--panel)}
.detail:target{display:block}.detail:focus{outline:none}
.detail pre{background:var(--paper)}
.detail-head{display:flex;flex-wrap:wrap;align-items:baseline;gap:.4rem .9rem;margin-top:1rem}
.detail-head h3{margin:0;font-size:1.15rem}
.detail-head .close{margin-left:auto}
body:has(.detail:target) .hint{display:none}
.scrolls{display:none}
@media (max-width:82rem){.scrolls{display:block}}
.stay{display:inline-block;position:sticky;left:8rem}
.matrix td.quiet{vertical-align:bottom}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.5rem 1rem;margin:1rem 0;font-size:.86rem}
.facts div{border-left:2px solid var(--rule);padding-left:.6rem}
.facts dt{color:var(--soft)}.facts dd{margin:0;font-variant-numeric:tabular-nums}
.timeline{margin:1rem 0 .3rem}
.lane{display:grid;grid-template-columns:8.5rem 1fr;gap:.7rem;align-items:center;font-size:.8rem;color:var(--soft)}
.lane svg{display:block;width:100%;height:2rem;background:var(--paper);border-bottom:1px solid var(--rule)}
.lane.marks svg{height:1.4rem}
.lane .n{color:var(--ink);font-variant-numeric:tabular-nums}
.marks text{font:600 11px system-ui,sans-serif;fill:var(--ink)}
.axis{display:flex;justify-content:space-between;font-size:.76rem;color:var(--soft)}
.granted{fill:var(--c-granted)}.ungranted{fill:var(--c-ungranted)}.bypassed{fill:var(--c-bypassed)}.undecoded{fill:var(--c-undecoded)}.aborted{fill:var(--c-aborted)}.dropped{fill:var(--c-dropped)}
.cursor{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3;vector-effect:non-scaling-stroke}
.steps{font-size:.92rem;padding-left:2rem;max-width:80ch;margin:.6rem 0}
.steps li{padding:.12rem 0}
.steps time{font-family:system-ui,sans-serif;font-size:.82rem;color:var(--soft);font-variant-numeric:tabular-nums;margin-right:.5em}
.claims{width:100%}.claims td,.claims th{border-top:1px solid var(--rule);padding:.35rem .7rem .35rem 0;vertical-align:top}
.claims ul{margin:.2rem 0 0;padding-left:1.1rem}
.claims thead th{border-top:0}
footer{padding-top:2rem;padding-bottom:3rem;border-top:1px solid var(--rule);margin-top:3rem}
@media (max-width:46rem){
body{font-size:15px}header{padding-top:1.5rem}h1{font-size:1.5rem}
.lane{grid-template-columns:1fr;gap:.1rem}.lane svg{height:1.5rem}
.claims,.claims tbody,.claims tr,.claims td,.claims th{display:block}.claims thead{display:none}.claims td{border-top:0;padding-top:0}
.detail{padding:.1rem .8rem 1rem}
.matrix th[scope=row]{padding-left:.5rem}}
@page{size:landscape;margin:12mm}
@media print{
:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--rule:#bbb;--panel:#fff;
--clean:#e3efe5;--clean-ink:#205a32;--contained:#e2ebf4;--contained-ink:#1f4d78;
--stray:#f8e9c8;--stray-ink:#6b4700;--corrupt:#f6d9d3;--corrupt-ink:#8a1f12;
--c-granted:#4b7d58;--c-ungranted:#a86a00;--c-bypassed:#b23a2a;--c-undecoded:#7d5ba6;--c-aborted:#3c6fa3;--c-dropped:#8a867c}
html{font-size:11px}body{font-size:1rem;print-color-adjust:exact;-webkit-print-color-adjust:exact}
main,header,footer,.wide{max-width:none;width:auto;margin:0;padding:0;transform:none}
.box{overflow:visible;border:0}.matrix{font-size:8px}.matrix th,.matrix td{padding:1px}.cell{padding:2px}.matrix th,.stay{position:static!important}
.hint,.scrolls,.close,.keys{display:none!important}
h2,h3,h4{break-after:avoid}tr,.lane,.positions>li{break-inside:avoid}}
`;

/** Keyboard comfort, nothing more: Escape closes the open cell, arrows move between cells. Without it all still works. */
export const SCRIPT = `
document.querySelector(".keys").hidden=false;
function leave(id){location.hash="to-"+id;var back=document.getElementById("to-"+id);if(back)back.focus({preventScroll:true})}
addEventListener("click",function(e){var close=e.target.closest&&e.target.closest(".close");if(!close)return;
e.preventDefault();leave(close.hash.slice(4))});
addEventListener("keydown",function(e){
if(e.key==="Escape"&&location.hash.indexOf("#cell-")===0){leave(location.hash.slice(1));return}
var here=document.activeElement;if(!here||!here.classList.contains("cell"))return;
var step={ArrowLeft:[0,-1],ArrowRight:[0,1],ArrowUp:[-1,0],ArrowDown:[1,0]}[e.key];if(!step)return;
var rows=Array.prototype.map.call(document.querySelectorAll(".matrix tbody tr"),function(r){return r.querySelectorAll(".cell")}).filter(function(r){return r.length});
for(var y=0;y<rows.length;y++)for(var x=0;x<rows[y].length;x++)if(rows[y][x]===here){
var row=rows[y+step[0]],next=row&&row[x+step[1]];if(next){e.preventDefault();next.focus()}return}});
`;
